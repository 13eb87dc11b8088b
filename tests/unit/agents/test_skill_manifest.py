"""The front matter of SKILL.md: what the runtime takes is taken, all else is refused with its reason."""

import pytest

from agents.archives.manifest import MAX_DESCRIPTION, MAX_MANIFEST, read_manifest
from powerloom.kernel.errors import Invalid, TooLarge


def front_matter(text: str) -> bytes:
    return f"---\n{text}\n---\n# Title\n".encode()


@pytest.mark.parametrize(
    "content",
    [
        b"---\nname: a\ndescription: b\n---\n",
        b"---\nname: a\ndescription: b\n---",
        b"---\r\nname: a\r\ndescription: b\r\n---\r\ntext",
        b"\xef\xbb\xbf---\nname: a\ndescription: b\n---\n",
        b"---\ndescription: b\nname: a\nlicense: MIT\nallowed-tools: [bash, read]\n---\n---\nname: other\n---\n",
    ],
)
def test_it_reads_good_front_matter(content: bytes) -> None:
    manifest = read_manifest(content)
    assert (manifest.name, manifest.description) == ("a", "b")


def test_a_description_may_be_folded_and_long() -> None:
    manifest = read_manifest(front_matter(f"name: a\ndescription: >\n  {'é' * 500}\n  {'é' * 500}"))
    assert len(manifest.description) == 1002


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("description: b", "name must"),
        ("name: A\ndescription: b", "name must"),
        ("name: a_b\ndescription: b", "name must"),
        (f"name: {'a' * 65}\ndescription: b", "name must"),
        ("name: 5\ndescription: b", "name must"),
        ("name: [a]\ndescription: b", "name must"),
        ('name: "a\\n"\ndescription: b', "name must"),
        ("name: my-claude-skill\ndescription: b", "name may not"),
        ("name: anthropic\ndescription: b", "name may not"),
        ("name: a", "description is missing"),
        ('name: a\ndescription: "  "', "description is missing"),
        ("name: a\ndescription: 5", "description is missing"),
        (f"name: a\ndescription: {'b' * (MAX_DESCRIPTION + 1)}", "description must"),
        ('name: a\ndescription: "b\\0"', "description must"),
        ("name: a\nname: b\ndescription: c", "plain YAML"),
        ("- name\n- description", "plain YAML"),
        ("just text", "plain YAML"),
        ("", "plain YAML"),
        ("name: a\ndescription: [", "plain YAML"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nname: a\ndescription: b", "plain YAML"),
        ("name: !!python/object/apply:os.system ['true']\ndescription: b", "plain YAML"),
        ("name: !!bool a\ndescription: b", "plain YAML"),
        ("name: !!timestamp a\ndescription: b", "plain YAML"),
        ("name: a\ndescription: 2026-13-45", "plain YAML"),
        (f"name: a\ndescription: {'[' * 5000}", "plain YAML"),
        (f"name: a\ndescription: b\nmore: {'x' * 20_000}", "front matter has at most"),
    ],
)
def test_it_refuses_bad_front_matter(text: str, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        read_manifest(front_matter(text))


@pytest.mark.parametrize("content", [b"", b"# Title\n", b"---\nname: a\n", b"\n---\nname: a\ndescription: b\n---\n"])
def test_it_refuses_a_file_without_front_matter(content: bytes) -> None:
    with pytest.raises(Invalid, match="between two lines"):
        read_manifest(content)


def test_it_refuses_what_is_not_text() -> None:
    with pytest.raises(Invalid, match="UTF-8"):
        read_manifest(b"---\nname: \xff\n---\n")


def test_it_refuses_a_file_over_the_limit() -> None:
    with pytest.raises(TooLarge):
        read_manifest(bytes(MAX_MANIFEST + 1))
