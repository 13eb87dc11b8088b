"""What one document leads to: what would change, and the commands that do it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any  # values of fields are JSON
from uuid import UUID

from pydantic import BaseModel

from powerloom.commands.registry import Command
from powerloom.kernel.errors import Denied, NotFound, PowerloomError
from powerloom.manifests.commands import Member
from powerloom.manifests.documents import Document
from powerloom.manifests.scene import Scene


class Verb(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    NOOP = "noop"
    HELD = "held"  # an approval policy would hold it
    DENIED = "denied"  # the actor may not
    INVALID = "invalid"  # it cannot be made so; `why` says what to change


@dataclass
class Step:
    """One document's part in a plan. `act` is what it asks for, `verb` what would come of it, which may be that it is
    held, denied or invalid. `changes` is field → (now, then). `member` is what it is about, where a set is applied;
    `leaves`: it is to be in the set no longer.
    """

    document: Document
    act: Verb
    commands: list[Command] = field(default_factory=list)
    changes: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    why: str = ""
    warnings: list[str] = field(default_factory=list)
    explain: dict[str, Any] | None = None
    calls: int = 0
    minutes: float | None = None
    member: Member | None = None
    leaves: bool = False
    verb: Verb = field(init=False)

    def __post_init__(self) -> None:
        self.verb = self.act

    def note(self, error: PowerloomError) -> None:
        """Note that this cannot be done, and why."""
        self.verb = Verb.DENIED if isinstance(error, Denied | NotFound) else Verb.INVALID
        self.why, self.explain = error.message, error.detail.get("explain")

    def as_json(self) -> dict[str, Any]:
        changes = {name: {"from": old, "to": new} for name, (old, new) in self.changes.items()}
        return {
            "kind": self.document.kind.name,
            "address": self.document.address,
            "line": self.document.raw.line,
            "verb": self.verb,
            "act": self.act,
            "changes": changes,
            "why": self.why,
            "explain": self.explain,
            "cma_calls": self.calls,
            "cma_minutes": self.minutes,
            "warnings": self.warnings,
        }


Planner = Callable[[Document, Scene], Step]


class Unfit(Exception):
    """The document cannot be made so. `path` is the field to change."""

    def __init__(self, words: str, *path: str) -> None:
        super().__init__(words)
        self.words = words
        self.path = path


def ids_in(commands: Iterable[Command]) -> list[UUID]:
    """Return every id that commands name, those that they make among them."""
    found: list[UUID] = []
    for command in commands:
        for _, value in command:
            inside = [one for _, one in value] if isinstance(value, BaseModel) else [value]
            found += [one for one in inside if isinstance(one, UUID)]
    return found


def made_by(commands: Iterable[Command]) -> list[UUID]:
    """Return the ids of what commands make."""
    found = (getattr(command, "id", None) for command in commands)
    return [id_ for id_ in found if isinstance(id_, UUID)]


def named(document: Document) -> dict[str, Any]:
    """Return the fields that the document names, as JSON."""
    said: dict[str, Any] = document.spec.model_dump(mode="json", exclude_unset=True)
    return said


def created(document: Document, *commands: Command) -> Step:
    """Return the step that makes a new thing, every field of the document one that was not there."""
    return Step(document, Verb.CREATE, list(commands), {name: (None, value) for name, value in named(document).items()})


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
