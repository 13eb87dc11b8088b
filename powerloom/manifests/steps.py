"""What one document leads to: what would change, and the commands that do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any  # values of fields are JSON

from powerloom.commands.registry import Command
from powerloom.manifests.documents import Document
from powerloom.manifests.scene import Scene


class Verb(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    NOOP = "noop"
    HELD = "held"  # an approval policy would hold it
    DENIED = "denied"  # the actor may not
    INVALID = "invalid"  # it cannot be made so; `why` says what to change


@dataclass
class Step:
    """One document's part in a plan. `changes` is field → (now, then)."""

    document: Document
    verb: Verb
    commands: list[Command] = field(default_factory=list)
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    why: str = ""
    warnings: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        changes = {name: {"from": old, "to": new} for name, (old, new) in self.changes.items()}
        return {
            "kind": self.document.kind.name,
            "address": self.document.address,
            "line": self.document.raw.line,
            "verb": self.verb,
            "changes": changes,
            "why": self.why,
            "warnings": self.warnings,
        }


Planner = Callable[[Document, Scene], Step]


class Unfit(Exception):
    """The document cannot be made so. `path` is the field to change."""

    def __init__(self, words: str, *path: str) -> None:
        super().__init__(words)
        self.words = words
        self.path = path


def named(document: Document) -> dict[str, Any]:
    """Return the fields that the document names, as JSON."""
    said: dict[str, Any] = document.spec.model_dump(mode="json", exclude_unset=True)
    return said


def differences(document: Document, now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the named fields that are otherwise now. Raises `Unfit` for one that can never be changed."""
    found = {name: (now[name], value) for name, value in named(document).items() if name in now and now[name] != value}
    for name in sorted(found.keys() & document.spec.immutable):
        raise Unfit(f"{name} cannot be changed: it is {now[name]} for good. Make another one.", "spec", name)
    return found


def need(document: Document) -> None:
    """Raise `Unfit` when a new thing lacks what it needs."""
    for name in document.kind.needed:
        if name not in document.named:
            raise Unfit(f"A new {document.kind.name} needs {name}.", "spec")


def shown_name(document: Document) -> str:
    """Return the display name: as it is said, else the name."""
    said: str = document.spec.display_name or document.metadata.name
    return said
