"""A folder is served by descriptor: names, links, special files and races lead nowhere else."""

import os
import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.backends import searching
from agents.backends.folders import Folder, Refused, open_folder
from agents.backends.reading import list_files, read_file, write_file
from agents.backends.searching import Budget, Search, search_files
from agents.mcp.files import (
    FilesConfig,
    FilesPolicy,
    FilesTemplate,
    Found,
    ListArguments,
    Page,
    ReadArguments,
    SearchArguments,
    WriteArguments,
)
from agents.mcp.template import Allow, Call
from tests.waiting import until

ALL = FilesPolicy()
SECRET = "the secret outside"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A served folder with a secret beside it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET)
    (tmp_path / "served").mkdir()
    return tmp_path / "served"


@pytest.fixture
def top(place: Path) -> Iterator[Folder]:
    with open_folder(str(place)) as folder:
        yield folder


def read(top: Folder, path: str, **fields: int) -> Page:
    return read_file(top, ReadArguments(path=path, **fields), ALL)


def names(top: Folder, path: str = "", policy: FilesPolicy = ALL) -> list[str]:
    return [entry.name for entry in list_files(top, ListArguments(path=path), policy).entries]


def write(top: Folder, path: str, content: str, *, if_absent: bool = False) -> bool:
    return write_file(top, WriteArguments(path=path, content=content, if_absent=if_absent), ALL).is_new


def search(top: Folder, policy: FilesPolicy = ALL, **fields: str | bool | int) -> Found:
    return search_files(top, SearchArguments.model_validate(fields), policy)


# --- What comes back is what was put

TEXTS = st.text(max_size=200).map(lambda text: text.encode(errors="ignore"))
BYTES = st.one_of(st.binary(max_size=400), TEXTS)


@given(data=BYTES, limit=st.integers(1, 50))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_a_file_comes_back_page_by_page_byte_for_byte(place: Path, top: Folder, data: bytes, limit: int) -> None:
    (place / "file").write_bytes(data)
    offset, parts = 0, []
    for _ in range(len(data) + 1):
        page = read(top, "file", offset=offset, limit=limit)
        content = WriteArguments(path="file", content=page.content, encoding=page.encoding).data()
        parts.append(content)
        assert len(content) <= limit
        if page.next_offset is None:
            break
        assert page.next_offset > offset
        offset = page.next_offset
    assert b"".join(parts) == data


def test_bytes_that_are_no_text_are_flagged(place: Path, top: Folder) -> None:
    (place / "text").write_text("grüße")
    (place / "bytes").write_bytes(b"\xff\x00\xfe")
    assert (read(top, "text").encoding, read(top, "text").content) == ("utf-8", "grüße")
    assert (read(top, "bytes").encoding, read(top, "bytes").content) == ("base64", "/wD+")


def test_a_read_gives_no_more_than_the_policy_allows(place: Path, top: Folder) -> None:
    (place / "long").write_text("x" * 5000)
    page = read_file(top, ReadArguments(path="long"), FilesPolicy(max_read_bytes=1024))
    assert (len(page.content), page.next_offset, page.size) == (1024, 1024, 5000)


def test_reading_past_the_end_finds_nothing(place: Path, top: Folder) -> None:
    (place / "file").write_text("abc")
    page = read(top, "file", offset=2**53 - 1)
    assert (page.content, page.next_offset) == ("", None)


def test_a_written_file_and_its_folders_are_there(place: Path, top: Folder) -> None:
    assert write(top, "a/b/c.txt", "one")
    assert not write(top, "a/b/c.txt", "two")
    assert (place / "a/b/c.txt").read_text() == "two"
    assert names(top, "a/b") == ["c.txt"]
    assert os.listdir(place / "a/b") == ["c.txt"]  # noqa: PTH208 - hidden names count


def test_a_rewritten_file_keeps_its_mode_without_special_bits(place: Path, top: Folder) -> None:
    (place / "run").write_text("old")
    (place / "run").chmod(0o4751)
    write(top, "run", "new")
    assert (place / "run").stat().st_mode & 0o7777 == 0o751


def test_what_is_there_is_kept_when_asked(place: Path, top: Folder) -> None:
    assert write(top, "file", "one", if_absent=True)
    with pytest.raises(Refused, match="exists already"):
        write(top, "file", "two", if_absent=True)
    assert (place / "file").read_text() == "one"


# --- What is not opened


def test_links_are_not_followed_wherever_they_lead(place: Path, top: Folder) -> None:
    (place / "real").mkdir()
    (place / "real" / "file").write_text("inside")
    (place / "to-folder").symlink_to(place.parent / "outside")
    (place / "to-inside").symlink_to(place / "real")
    (place / "to-file").symlink_to(place.parent / "outside" / "secret.txt")
    (place / "to-nothing").symlink_to(place / "absent")
    for path in ("to-folder/secret.txt", "to-inside/file", "to-file", "to-nothing"):
        with pytest.raises(Refused):
            read(top, path)
        with pytest.raises(Refused):
            write(top, path, "overwritten")
    for path in ("to-folder", "to-inside", "to-file"):
        with pytest.raises(Refused):
            names(top, path)
    assert names(top) == ["real"]
    assert search(top, text="secret").matches == []
    assert (place.parent / "outside" / "secret.txt").read_text() == SECRET
    assert not (place / "absent").exists()


@pytest.mark.parametrize("kind", ["pipe", "socket", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(place: Path, top: Folder, kind: str) -> None:
    special = place / "special"
    if kind == "pipe":
        os.mkfifo(special)
    elif kind == "folder":
        special.mkdir()
    else:
        with socket.socket(socket.AF_UNIX) as listener, open_folder(str(place)) as here:
            listener.bind(f"/proc/self/fd/{here.descriptor}/special")
    for act in (lambda: read(top, "special"), lambda: write(top, "special", "x")):
        with pytest.raises(Refused, match="regular file"):
            act()
    assert search(top, text="x").matches == []
    assert names(top) == (["special"] if kind == "folder" else [])


def test_a_device_is_refused() -> None:
    with open_folder("/dev") as devices, pytest.raises(Refused, match="regular file"), devices.file("null"):
        pass


def test_another_file_system_is_not_entered() -> None:
    with open_folder("/") as machine, pytest.raises(Refused, match="not part"):
        machine.folder("proc")


def test_a_folder_that_was_named_shut_is_not_entered_by_any_name(place: Path) -> None:
    (place / "data").mkdir()
    status = (place / "data").stat()
    shut = [(status.st_dev, status.st_ino)]
    with open_folder(str(place), shut=shut) as folder, pytest.raises(Refused, match="not part"):
        folder.folder("data")
    with pytest.raises(Refused, match="not part"):
        open_folder(str(place / "data"), shut=shut)


def test_no_name_on_the_way_to_the_served_folder_may_be_a_link(place: Path) -> None:
    (place.parent / "link").symlink_to(place.parent)
    with pytest.raises(Refused):
        open_folder(str(place.parent / "link" / "served"))


def test_hidden_and_unspeakable_names_are_neither_listed_nor_searched(place: Path, top: Folder) -> None:
    for name in (b".env", b"plain", b"bad\nname", b"bad\xffname", "bidi\u202e".encode(), b"back\\slash"):
        (place / os.fsdecode(name)).write_text("needle")
    (place / ".git").mkdir()
    (place / ".git" / "config").write_text("needle")
    assert names(top) == ["plain"]
    assert [match.path for match in search(top, text="needle").matches] == ["plain"]
    assert "6 left out" in list_files(top, ListArguments(), ALL).notes[0]


def test_above_what_is_allowed_only_the_way_down_is_shown(place: Path, top: Folder) -> None:
    for path in ("a/b/file", "a/other/file", "ab/file", "c/file"):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text("needle")
    policy = FilesPolicy(allowed_paths=["a/b"])
    assert (names(top, "", policy), names(top, "a", policy), names(top, "a/b", policy)) == (["a"], ["b"], ["file"])
    assert list_files(top, ListArguments(), policy).notes == []
    assert [match.path for match in search(top, policy, text="needle").matches] == ["a/b/file"]


def test_nothing_that_is_said_names_a_place_on_the_machine(place: Path, top: Folder) -> None:
    (place / "file").write_text("x")
    for path in ("absent", "file/below", "absent/below"):
        with pytest.raises(Refused) as refused:
            read(top, path)
        assert str(place) not in refused.value.words


# --- Limits


def test_a_long_folder_is_paged_by_name(place: Path, top: Folder) -> None:
    for number in range(7):
        (place / f"f{number}").touch()
    first = list_files(top, ListArguments(limit=4), ALL)
    rest = list_files(top, ListArguments(limit=4, after=first.next_after or ""), ALL)
    assert [entry.name for entry in first.entries + rest.entries] == [f"f{number}" for number in range(7)]
    assert rest.next_after is None
    assert len(list_files(top, ListArguments(), FilesPolicy(max_entries=2)).entries) == 2


def test_a_search_finds_lines_and_names(place: Path, top: Folder) -> None:
    (place / "sub").mkdir()
    (place / "a.py").write_text("one\nTwo needles\n" + "x" * 400 + "needle" + "y" * 400)
    (place / "sub" / "b.txt").write_text("NEEDLE (.*)+$")
    (place / "binary").write_bytes(b"needle\x00")
    found = search(top, text="needle")
    assert [(match.path, match.line) for match in found.matches] == [("a.py", 2), ("a.py", 3)]
    assert all(len(match.text or "") <= 300 and "needle" in (match.text or "") for match in found.matches)
    assert len(search(top, text="needle", ignore_case=True).matches) == 3
    assert [match.path for match in search(top, name="*.txt").matches] == ["sub/b.txt"]
    assert [match.line for match in search(top, text="(.*)+$").matches] == [1]
    assert found.is_complete


def test_a_search_stops_when_its_budget_is_spent(place: Path, top: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        (place / f"f{number}").write_text("needle\n" * 3)
    arguments = SearchArguments(text="needle", limit=4)
    assert len(search_files(top, arguments, ALL).matches) == 4
    for budget in (Budget(9, visits=2), Budget(9, bytes=50), Budget(9, until=0.0)):
        found = Search(arguments, ALL, budget=budget).run(top, ())
        assert not found.is_complete
        assert "Stopped early" in found.notes[0]
    monkeypatch.setattr(searching, "MOST_BYTES_OF_A_FILE", 5)
    assert "5 files" in search_files(top, arguments, ALL).notes[0]


def test_a_disk_that_is_nearly_full_takes_no_more(top: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.backends.folders.SPARE", 2**62)
    with pytest.raises(Refused, match="fit on the disk"):
        write(top, "file", "x")


# --- What is decided is what is opened

TREE = ("a/f", "a/b/f", "ab/f", "b/f", "a/.x", ".x/f", "f", "~/f", "%2e%2e/f")
PIECES = st.sampled_from(["a", "b", "ab", "f", "..", ".", "", ".x", "%2e%2e", "~", "link", "loop", "a\\b", "\0"])
ALLOWED = st.lists(st.sampled_from(["a", "a/b", "b/f", "~"]), max_size=2) | st.none()


@given(pieces=st.lists(PIECES, max_size=5), is_absolute=st.booleans(), allowed=ALLOWED)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_the_policy_allows_is_what_is_read(
    place: Path, top: Folder, pieces: list[str], is_absolute: bool, allowed: list[str] | None
) -> None:
    grow(place)
    policy = FilesPolicy(allowed_paths=allowed)
    arguments = ReadArguments(path="/" * is_absolute + "/".join(pieces))
    is_allowed = isinstance(FilesTemplate().decide(Call("read_file", arguments), FilesConfig(), policy), Allow)
    expected = "/".join(piece for piece in pieces if piece not in {"", "."})
    is_inside = allowed is None or any(f"{expected}/".startswith(f"{prefix}/") for prefix in allowed)
    is_hidden = any(piece.startswith(".") for piece in expected.split("/"))
    is_rooted = is_absolute or "/".join(pieces).startswith("/")
    is_file = expected in TREE and not is_hidden and not is_rooted
    assert is_allowed or not (is_file and is_inside)
    if not is_allowed:
        return
    assert is_inside
    try:
        page = read_file(top, arguments, policy)
    except Refused:
        assert not is_file
    else:
        assert is_file
        assert page.content == expected


def grow(place: Path) -> None:
    if (place / "link").is_symlink():
        return
    for path in TREE:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(path)
    (place / "link").symlink_to(place.parent / "outside")
    (place / "a" / "link").symlink_to("../..")
    (place / "loop").symlink_to("loop")


# --- Races


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads take turns so often that every gap is hit soon."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("impatient")
def test_whoever_swaps_links_and_renames_gets_nothing_from_outside(place: Path, top: Folder) -> None:
    """Two threads swap a folder and a file for links that lead out, while every tool is used on both."""
    outside = place.parent / "outside"
    (place / "there").mkdir()
    (place / "there" / "secret.txt").write_text("inside")
    (place / "file").write_text("inside")
    stop, swaps = threading.Event(), [0, 0]

    def swap(number: int, path: Path, target: Path) -> None:
        aside, link = place.parent / f"aside{number}", place.parent / f"link{number}"
        while not stop.is_set():
            path.rename(aside)
            link.symlink_to(target)
            put(link, path)
            path.unlink()
            put(aside, path)
            swaps[number] += 1

    racers = [
        threading.Thread(target=swap, args=(0, place / "there", outside)),
        threading.Thread(target=swap, args=(1, place / "file", outside / "secret.txt")),
    ]
    for racer in racers:
        racer.start()
    seen, refused = [0], [0]

    def round_of_calls() -> bool:
        for act in (
            lambda: read(top, "there/secret.txt").content,
            lambda: read(top, "file").content,
            lambda: search(top, text="outside").matches,
            lambda: write(top, "there/new.txt", "written"),
            lambda: write(top, "file", "inside"),
        ):
            try:
                assert "outside" not in str(act())
                seen[0] += 1
            except Refused:
                refused[0] += 1
        return min(seen[0], refused[0]) >= 150 and min(swaps) >= 150

    try:
        until(round_of_calls, within=60, what="both sides of the race to have been seen often")
    finally:
        stop.set()
        for racer in racers:
            racer.join()
    assert sorted(os.listdir(outside)) == ["secret.txt"]  # noqa: PTH208 - hidden names count
    assert (outside / "secret.txt").read_text() == SECRET


class Raced(Folder):
    """A folder in which somebody acts between the look at a name and its opening."""

    act: Callable[[], None]

    def is_file(self, name: str) -> bool:
        found = super().is_file(name)
        self.act()
        return found


@pytest.mark.parametrize(("kind", "words"), [("pipe", "regular file"), ("link", "is a link"), ("nothing", "exist")])
def test_what_is_swapped_in_between_look_and_open_is_refused_at_once(place: Path, kind: str, words: str) -> None:
    path = place / "file"
    path.write_text("inside")

    def swap() -> None:
        path.unlink()
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "link":
            path.symlink_to(place.parent / "outside" / "secret.txt")

    status = place.stat()
    with Raced(os.open(place, os.O_RDONLY), device=status.st_dev, shut=frozenset()) as raced:
        raced.act = swap
        with pytest.raises(Refused, match=words), raced.file("file"):
            pass


def test_a_link_that_is_swapped_in_before_a_write_is_replaced_not_followed(place: Path) -> None:
    def swap() -> None:
        (place / "file").symlink_to(place.parent / "outside" / "secret.txt")

    with Raced(os.open(place, os.O_RDONLY), device=place.stat().st_dev, shut=frozenset()) as raced:
        raced.act = swap
        raced.write("file", b"written", if_absent=False)
        raced.act = lambda: (place / "new").symlink_to(place.parent / "outside" / "new")
        with pytest.raises(Refused, match="exists already"):
            raced.write("new", b"written", if_absent=True)
    assert (place / "file").read_text() == "written"
    assert not (place / "file").is_symlink()
    assert (place.parent / "outside" / "secret.txt").read_text() == SECRET
    assert not (place.parent / "outside" / "new").exists()


def put(what: Path, path: Path) -> None:
    """Rename, in spite of whatever a tool made in the gap."""
    while True:
        try:
            what.rename(path)
        except OSError:
            shutil.rmtree(path, ignore_errors=True)
        else:
            return


def test_readers_see_whole_files_while_many_write(place: Path, top: Folder) -> None:
    contents = [letter * 20_000 for letter in "abcd"]
    write(top, "file", contents[0])

    def write_often(content: str) -> None:
        for _ in range(25):
            write(top, "file", content)

    writers = [threading.Thread(target=write_often, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert read(top, "file").content in contents
    for writer in writers:
        writer.join()
    assert os.listdir(place) == ["file"]  # noqa: PTH208 - hidden names count


def test_of_many_who_create_one_creates(place: Path, top: Folder) -> None:
    outcomes: list[bool] = []
    barrier = threading.Barrier(6)

    def create(content: str) -> None:
        barrier.wait()
        try:
            outcomes.append(write(top, "new", content, if_absent=True))
        except Refused:
            outcomes.append(False)

    creators = [threading.Thread(target=create, args=(str(number),)) for number in range(6)]
    for creator in creators:
        creator.start()
    for creator in creators:
        creator.join()
    assert sorted(outcomes) == [False] * 5 + [True]
