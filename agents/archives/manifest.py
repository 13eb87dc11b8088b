"""The front matter of SKILL.md: YAML between two lines of `---`, read by the safe loader, without aliases.

Limits are CMA's: `name` of at most 64 lower-case letters, digits and hyphens without the reserved words, `description`
of at most 1024 characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any  # YAML is any JSON-like value until it is checked

import yaml

from powerloom.kernel.errors import Invalid, TooLarge

MAX_MANIFEST = 1024 * 1024
MAX_FRONT_MATTER = 16 * 1024
MAX_DESCRIPTION = 1024
NAME = re.compile(r"[a-z0-9-]{1,64}")
RESERVED = ("anthropic", "claude")
# Beside its own errors the library lets Python's through when a tag does not fit its text (`!!bool x`).
NOT_PLAIN = (yaml.YAMLError, RecursionError, ValueError, LookupError, AttributeError, ArithmeticError, TypeError)
FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Manifest:
    """What a skill says of itself."""

    name: str
    description: str


class _Loader(yaml.SafeLoader):
    """Safe, and without aliases, which can make a small text unfold without end."""

    def compose_node(self, parent: yaml.nodes.Node | None, index: int) -> yaml.nodes.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed here")
        return super().compose_node(parent, index)


def read_manifest(content: bytes) -> Manifest:
    """Return name and description from the bytes of a SKILL.md. Raises `Invalid` saying what is wrong."""
    fields = _fields(_front_matter(content))
    name, description = fields.get("name"), fields.get("description")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise _wrong("name must be at most 64 lower-case letters, digits and hyphens")
    if any(word in name for word in RESERVED):
        raise _wrong(f"name may not contain {' or '.join(RESERVED)}")
    if not isinstance(description, str) or not description.strip():
        raise _wrong("description is missing")
    if len(description) > MAX_DESCRIPTION or "\x00" in description:
        raise _wrong(f"description must be a text of at most {MAX_DESCRIPTION} characters")
    return Manifest(name, description)


def _front_matter(content: bytes) -> str:
    if len(content) > MAX_MANIFEST:
        raise TooLarge(f"SKILL.md has at most {MAX_MANIFEST} bytes.", field="file", limit=MAX_MANIFEST)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _wrong("the file is not UTF-8") from error
    found = FRONT_MATTER.match(text)
    if found is None:
        raise _wrong("it must begin with YAML between two lines of ---")
    if len(found[1]) > MAX_FRONT_MATTER:
        raise _wrong(f"the front matter has at most {MAX_FRONT_MATTER} characters")
    return found[1]


def _fields(text: str) -> dict[str, Any]:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        _check_keys(node)
        fields = loader.construct_document(node)
    except NOT_PLAIN as error:
        raise _wrong(f"the front matter is not plain YAML ({type(error).__name__})") from error
    finally:
        loader.dispose()
    return fields if isinstance(fields, dict) else {}


def _check_keys(node: yaml.nodes.Node | None) -> None:
    if not isinstance(node, yaml.nodes.MappingNode):
        raise yaml.YAMLError("not a mapping")
    keys = [key.value for key, _ in node.value if isinstance(key, yaml.nodes.ScalarNode)]
    if len(set(keys)) != len(node.value):
        raise yaml.YAMLError("a key twice")


def _wrong(why: str) -> Invalid:
    return Invalid(f"SKILL.md: {why}.", field="file")
