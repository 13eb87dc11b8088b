"""What the policy of `files` says of a call, from its text alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.mcp.files import (
    FilesConfig,
    FilesPolicy,
    FilesTemplate,
    ListArguments,
    PathArguments,
    ReadArguments,
    SearchArguments,
    WriteArguments,
)
from agents.mcp.paths import NotPlain, parts_of, reach
from agents.mcp.template import Allow, Call, Decision, Deny

FILES = FilesTemplate()
AREA, ROOT = FilesConfig(bucket_prefix=""), FilesConfig(root="/srv/data")
DOCS = FilesPolicy(allowed_paths=["docs", "src/main.py"])

NO_PLAIN_PATH = [
    "/",
    "//",
    "/etc/passwd",
    "//etc/passwd",
    "///docs/a",
    "/docs/a",
    "/proc/self/environ",
    "..",
    "../",
    "../docs/a",
    "docs/..",
    "docs/../..",
    "docs/../../etc/passwd",
    "docs/../docs/a",
    "docs/./../x",
    "docs//../x",
    "./..",
    "./../docs",
    "docs/a/..",
    "docs\\..\\..\\etc",
    "..\\docs",
    "\\",
    "C:\\Windows\\win.ini",
    "\\\\host\\share",
    "docs\\a",
    "docs/a\x00",
    "docs/a\x00.txt",
    "\x00",
    "docs/\x00/../../etc",
    "docs/a\n",
    "docs/a\r\nb",
    "docs/\ta",
    "docs/\x1b[2Ja",
    "docs/\x7fa",
    "docs/\x85a",
    "docs/\u202etxt.exe",
    "docs/\u2066a\u2069",
    "docs/\u200ba",
    "docs/\u200c.git/config",
    "docs/.\u200cgit/config",
    "docs/\ufeffa",
    "docs/\u2028a",
    "docs/\u2029a",
    "docs/\ue000a",
    "docs/\u00ada",
    "docs/" + "a" * 256,
    "docs/" + "é" * 128,
    "docs/" + "a/" * 32 + "b",
    "docs/" + "a" * 1020,
    "a" * 4096,
    "docs/" + "é/" * 340 + "é",
]
DOTFILES = [
    ".env",
    ".git",
    ".git/config",
    "./.env",
    ".//.env",
    "docs/.env",
    "docs/.git/HEAD",
    "docs/.ssh/id_ed25519",
    "docs/a/.hidden/b",
    "docs/...",
    ".../docs",
    "..docs/a",
    "docs/..a",
    ".docs",
    "docs/.a.draft",
    "docs/.",
]
OUTSIDE = [
    "",
    ".",
    "./",
    "doc",
    "docsx",
    "docs2/a",
    "docs-old/a",
    "docs.bak",
    "Docs/a",
    "DOCS",
    "\uff44\uff4f\uff43\uff53/a",
    "dócs/a",
    "do\u0301cs/a",
    " docs/a",
    "docs /a",
    "src",
    "src/main.pyc",
    "src/main.py.bak",
    "src/Main.py",
    "src/main",
    "src/other.py",
    "%2e%2e/docs",
    "%2fetc%2fpasswd",
    "docs%2fa",
    "~",
    "~root/x",
    "$HOME/a",
    "`id`",
    "docs;a",
    "*",
    "d*cs/a",
    "docs|cat",
    "file:docs",
    "\uff0e\uff0e/docs",
    "\u2024\u2024/docs",
]


def call_of(arguments: PathArguments) -> Call:
    names: dict[type, str] = {
        ListArguments: "list_files",
        ReadArguments: "read_file",
        SearchArguments: "search_files",
        WriteArguments: "write_file",
    }
    return Call(names[type(arguments)], arguments)


def decide(arguments: PathArguments, policy: FilesPolicy = DOCS, config: FilesConfig = AREA) -> Decision:
    return FILES.decide(call_of(arguments), config, policy)


def calls_on(path: str) -> list[PathArguments]:
    return [
        ReadArguments(path=path),
        WriteArguments(path=path, content="x"),
        ListArguments(path=path),
        SearchArguments(path=path, text="x"),
    ]


def rules_on(path: str, policy: FilesPolicy) -> set[str]:
    decisions = [decide(arguments, policy) for arguments in calls_on(path)]
    return {decision.rule if isinstance(decision, Deny) else "allowed" for decision in decisions}


def test_the_table_of_hostile_paths_is_long_enough() -> None:
    assert len({*NO_PLAIN_PATH, *DOTFILES, *OUTSIDE}) >= 100


@pytest.mark.parametrize("path", NO_PLAIN_PATH, ids=ascii)
def test_what_is_no_plain_relative_path_is_denied_to_every_tool(path: str) -> None:
    assert rules_on(path, DOCS) == rules_on(path, FilesPolicy()) == {"plain_paths"}


@pytest.mark.parametrize("path", [path for path in DOTFILES if path != "docs/."], ids=ascii)
def test_what_a_dot_hides_is_denied_to_every_tool(path: str) -> None:
    assert rules_on(path, DOCS) == rules_on(path, FilesPolicy()) == {"no_dotfiles"}


@pytest.mark.parametrize("path", OUTSIDE, ids=ascii)
def test_what_is_not_allowed_is_neither_read_nor_written(path: str) -> None:
    for arguments in calls_on(path)[:2]:
        decision = decide(arguments)
        assert isinstance(decision, Deny)
        assert decision.rule == ("plain_paths" if parts_of(path) == () else "allowed_paths")


@pytest.mark.parametrize("path", [path for path in OUTSIDE if path not in {"", ".", "./", "src"}], ids=ascii)
def test_what_is_not_allowed_is_neither_listed_nor_searched(path: str) -> None:
    assert rules_on(path, DOCS) == {"allowed_paths"}


@pytest.mark.parametrize(
    "path", ["docs/a", "docs", "./docs/a", "docs//a", "docs/./a/", "docs/a b", "docs/ü", "src/main.py"]
)
def test_what_is_allowed_and_below_it_is_open_to_every_tool(path: str) -> None:
    assert rules_on(path, DOCS) == {"allowed"}


@pytest.mark.parametrize("path", ["", "src", "./src/"])
def test_above_what_is_allowed_one_may_look_for_the_way_down(path: str) -> None:
    assert isinstance(decide(ListArguments(path=path)), Allow)
    assert isinstance(decide(SearchArguments(path=path, text="x")), Allow)


def test_a_does_not_allow_ab() -> None:
    policy = FilesPolicy(allowed_paths=["a"])
    assert rules_on("a/b", policy) == {"allowed"}
    assert rules_on("ab", policy) == rules_on("ab/c", policy) == {"allowed_paths"}


def test_no_allowed_path_is_no_path_at_all_and_null_is_every_path() -> None:
    assert rules_on("a", FilesPolicy(allowed_paths=[])) == {"allowed_paths"}
    assert rules_on("a", FilesPolicy(allowed_paths=None)) == {"allowed"}
    assert rules_on("a", FilesPolicy(allowed_paths=[""])) == {"allowed"}


@pytest.mark.parametrize(
    ("config", "allow_writes", "may"),
    [(AREA, None, True), (AREA, False, False), (ROOT, None, False), (ROOT, True, True), (ROOT, False, False)],
)
def test_the_file_area_is_written_and_a_root_is_read_unless_the_policy_says_so(
    config: FilesConfig, allow_writes: bool | None, may: bool
) -> None:
    decision = decide(WriteArguments(path="a", content="x"), FilesPolicy(allow_writes=allow_writes), config)
    assert isinstance(decision, Allow) if may else isinstance(decision, Deny) and decision.rule == "allow_writes"


def test_what_is_written_is_counted_in_bytes() -> None:
    policy = FilesPolicy(max_write_bytes=4)
    assert isinstance(decide(WriteArguments(path="a", content="éé"), policy), Allow)
    for content, encoding in (("ééa", "utf-8"), ("AAAAAAA=", "base64")):
        decision = decide(WriteArguments(path="a", content=content, encoding=encoding), policy)
        assert isinstance(decision, Deny)
        assert decision.rule == "max_write_bytes"


def test_the_common_rules_come_first() -> None:
    decision = decide(ReadArguments(path="../x"), FilesPolicy(denied_tools=["read_file"]))
    assert isinstance(decision, Deny)
    assert decision.rule == "denied_tools"


@pytest.mark.parametrize(
    "fields", [{"content": "é", "encoding": "base64"}, {"content": "\ud800"}, {"content": "A", "encoding": "base64"}]
)
def test_content_that_is_not_what_it_says_is_no_argument(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        WriteArguments(path="a", **fields)


@pytest.mark.parametrize("path", ["docs/\ud800", "\udcff", "a" * 5000])
def test_a_path_that_is_no_text_or_endless_is_no_argument(path: str) -> None:
    for tool in (ReadArguments, ListArguments, SearchArguments):
        with pytest.raises(ValidationError):
            tool(path=path)


@pytest.mark.parametrize(
    "posted",
    [
        {"bucket_prefix": "a", "root": "/srv"},
        {"bucket_prefix": "", "root": "/srv"},
        {"bucket_prefix": "../other"},
        {"bucket_prefix": "/etc"},
        {"bucket_prefix": ".hidden"},
        {"root": "srv"},
        {"root": "/"},
        {"root": ""},
        {"root": "//srv"},
        {"root": "/srv/"},
        {"root": "/srv/../etc"},
        {"root": "/srv//a"},
        {"root": "/home/eve/.ssh"},
        {"root": "/srv/\x00"},
        {"prefix": "a"},
    ],
)
def test_a_config_that_names_no_one_folder_is_refused(posted: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FILES.read_config(posted)


@pytest.mark.parametrize("posted", [{}, {"bucket_prefix": ""}, {"bucket_prefix": "a/b"}, {"root": "/srv/data"}])
def test_a_config_names_one_folder(posted: dict[str, Any]) -> None:
    FILES.read_config(posted)


@pytest.mark.parametrize(
    "posted",
    [
        {"allowed_paths": ["/etc"]},
        {"allowed_paths": [".."]},
        {"allowed_paths": [".git"]},
        {"allowed_paths": "docs"},
        {"max_read_bytes": 0},
        {"max_write_bytes": 2**40},
        {"allow_write": True},
    ],
)
def test_a_policy_that_says_nothing_clear_is_refused(posted: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FILES.read_policy(posted)


PIECES = st.sampled_from(
    ["a", "b", "ab", "a b", "..", ".", "", "/", "//", "\\", ".a", "%2e%2e", "\0", "\u202e", "A", "~"]
)
PATHS = st.one_of(
    st.lists(PIECES, max_size=6).map("/".join), st.lists(PIECES, max_size=6).map("".join), st.text(max_size=12)
)
PREFIXES = st.lists(st.sampled_from(["a", "b", "a/b", "ab", "b/a/ab"]), max_size=3)


@given(path=PATHS, allowed=PREFIXES, tool=st.sampled_from([ReadArguments, ListArguments, SearchArguments]))
def test_no_path_outside_the_allowed_ones_is_ever_allowed(path: str, allowed: list[str], tool: Any) -> None:
    decision = decide(tool(path=path), FilesPolicy(allowed_paths=allowed))
    if isinstance(decision, Deny):
        return
    spelled = "/".join(part for part in path.split("/") if part not in {"", "."})
    is_inside = any(spelled == prefix or spelled.startswith(f"{prefix}/") for prefix in allowed)
    leads_there = any(f"{prefix}/".startswith(f"{spelled}/" if spelled else "") for prefix in allowed)
    assert not path.startswith("/")
    assert ".." not in path.split("/")
    assert is_inside or (tool is not ReadArguments and leads_there)


@given(path=PATHS)
def test_a_path_is_read_the_same_however_often(path: str) -> None:
    try:
        parts = parts_of(path)
    except NotPlain:
        return
    assert parts_of("/".join(parts)) == parts
    assert reach(parts, [parts]) == "inside"
    assert reach((*parts, "x"), [parts]) == "inside"
    assert reach(parts, [(*parts, "x")]) == "above"
