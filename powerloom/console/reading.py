"""JSON from elsewhere, made safe to read: hidden characters become visible, deep values become a tree with a floor."""

from __future__ import annotations

import json
from collections.abc import Sized
from dataclasses import dataclass, field
from typing import Any  # a JSON value

from agents.diff import ABSENT, diff
from powerloom.web.text import visible

DEEPEST = 24
WIDTH = 88  # characters of a line of JSON


@dataclass(frozen=True)
class Node:
    """One place in a JSON tree: a leaf has text, a branch has children."""

    kind: str
    key: str = ""
    text: str = ""
    children: list[Node] = field(default_factory=list)


def tree(value: Any, *, key: str = "", depth: int = 0) -> Node:
    """Return the JSON value as nodes; what lies deeper than the floor becomes one line of JSON."""
    if depth < DEEPEST and isinstance(value, dict) and value:
        children = [tree(child, key=visible(str(name)), depth=depth + 1) for name, child in value.items()]
        return Node("object", key, _count(value, "field"), children)
    if depth < DEEPEST and isinstance(value, list) and value:
        children = [tree(child, key=str(place), depth=depth + 1) for place, child in enumerate(value)]
        return Node("array", key, _count(value, "item"), children)
    if isinstance(value, str):
        return Node("string", key, visible(value))
    return Node("other", key, visible(json.dumps(value, ensure_ascii=False)))


def _count(values: Sized, noun: str) -> str:
    return f"{len(values)} {noun}{'' if len(values) == 1 else 's'}"


@dataclass(frozen=True)
class FieldChange:
    """One field of a change, as text; None where the field did not exist."""

    name: str
    before: str | None
    after: str | None


def empties(changes: list[FieldChange]) -> tuple[list[FieldChange], list[str]]:
    """Return the fields of something new that say something, and the names of those that do not."""
    silent = [change for change in changes if change.before is None and change.after in {"null", "[]", "{}", ""}]
    return [change for change in changes if change not in silent], [change.name for change in silent]


def field_changes(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[FieldChange]:
    """Return the fields that differ between two JSON objects, in the order of their names."""
    return [FieldChange(one.path, _side(one.before), _side(one.after)) for one in diff(before or {}, after or {})]


def _side(value: Any) -> str | None:
    return None if value is ABSENT else shown(value)


def shown(value: Any) -> str:
    """Return a JSON value as text: a string as it is, anything else as JSON."""
    return visible(value if isinstance(value, str) else pretty(value))


def pretty(value: Any, *, indent: int = 0) -> str:
    """Return JSON as people like to read it: what fits into a line stands on one, the rest is indented."""
    short = json.dumps(value, ensure_ascii=False)
    if indent + len(short) <= WIDTH or not isinstance(value, dict | list) or not value or indent > DEEPEST:
        return short
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        parts = [
            f"{json.dumps(name, ensure_ascii=False)}: {pretty(one, indent=indent + 2)}" for name, one in value.items()
        ]
    else:
        parts = [pretty(one, indent=indent + 2) for one in value]
    lines = ",\n".join(f"{inner}{part}" for part in parts)
    return f"{short[0]}\n{lines}\n{' ' * indent}{short[-1]}"
