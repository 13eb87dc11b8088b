"""Which command means which action, what it loads and what it does.

A command is data: frozen, JSON-able, without secrets, so that it can be held, shown, hashed and replayed. A handler
only changes rows; it rings no bell, calls no network and causes no second action.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar  # Any: row types differ by handler
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from powerloom.kernel.refs import Actor, Target


class Command(BaseModel):
    """Base of every command. `action` is the permission, the audit verb and the CLI verb at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: ClassVar[str]
    minted: ClassVar[frozenset[str]] = frozenset({"id", "sealed_id", "discovery_id", "upload_id"})

    def minted_values(self) -> list[str]:
        """Return the values that the edge made for this one asking (`minted` names their fields): asking the same again
        has others.
        """
        return [str(getattr(self, name)) for name in sorted(self.minted & type(self).model_fields.keys())]


@dataclass(frozen=True)
class Need:
    """A further right that a command takes, besides its own action at its target: `action` on `target`.

    `principal_id` is whose right it is (an agent's principal that will use a skill); None means the actor's.
    """

    action: str
    target: Target
    principal_id: UUID | None = None


@dataclass(frozen=True)
class Subject:
    """What a loader found: the locked row (for a create: the OU it goes into) and the target to be judged.

    `own` marks a thing that belongs to the actor itself (its tokens, a session it invoked): the law may allow it
    without a binding.
    """

    row: Any
    target: Target
    own: bool = False
    needs: tuple[Need, ...] = ()


@dataclass(frozen=True)
class Change:
    """What a handler did: the row to show, and what differs, as JSON for the audit entry (no secrets).

    `approval_request_id` is the request that a decision is about. `only_revokes`: it takes a right away and gives none,
    so that no policy holds it.
    """

    row: Any
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    approval_request_id: UUID | None = field(default=None, kw_only=True)
    only_revokes: bool = field(default=False, kw_only=True)


C = TypeVar("C", bound=Command)
Load = Callable[[C, Actor], Subject]
Apply = Callable[..., Change]


@dataclass(frozen=True)
class Handler(Generic[C]):
    """How one command type is loaded and applied.

    `changes_access`: it changes bindings, roles, groups, users, OUs, tokens or policies, so it takes the organization's
    access epoch exclusively and bumps it. `holdable`: approval policies may hold it.
    """

    command: type[C]
    load: Load[C]
    apply: Apply
    changes_access: bool = False
    holdable: bool = True

    @property
    def action(self) -> str:
        return self.command.action


_HANDLERS: dict[type[Command], Handler[Any]] = {}
_BY_ACTION: dict[str, Handler[Any]] = {}


def handles(
    command: type[C], *, load: Load[C], changes_access: bool = False, holdable: bool = True
) -> Callable[[Apply], Apply]:
    """Register the decorated function as the handler of `command`.

    The function is called as `apply(command, subject=Subject, actor=Actor)` inside the transaction and returns a
    `Change`.
    """

    def register(apply: Apply) -> Apply:
        if command.action in _BY_ACTION:
            raise RuntimeError(f"{command.action} already has a handler")
        handler = Handler(command, load, apply, changes_access, holdable)
        _HANDLERS[command] = _BY_ACTION[command.action] = handler
        return apply

    return register


def handler_of(command: Command) -> Handler[Any]:
    """Return the handler registered for this command's type (KeyError when there is none: a programming error)."""
    return _HANDLERS[type(command)]


def command_of(action: str) -> type[Command]:
    """Return the command type of an action (KeyError when there is none)."""
    return _BY_ACTION[action].command


def registered_actions() -> list[str]:
    """Return every action that has a handler, sorted."""
    return sorted(_BY_ACTION)


@dataclass(frozen=True)
class Mark:
    """How one row stood when a command loaded it: another value, and it is no longer what was asked about.

    `id` is the row's, or those of what it joins, with spaces between.
    """

    label: str
    id: str
    value: str


@dataclass
class Case:
    """One command on its way through the door."""

    command: Command
    actor: Actor
    handler: Handler[Any]
    subject: Subject
    marks: list[Mark] = field(default_factory=list)
    decision: dict[str, Any] = field(default_factory=dict)
    change: Change | None = None

    @property
    def target(self) -> Target:
        return self.subject.target


@dataclass(frozen=True)
class Done:
    """The set was applied; `replayed` when an Idempotency-Key had done it before: then only `refs` name the results."""

    rows: list[Any]
    changes: list[Change]
    refs: list[tuple[str, UUID]]
    set_id: UUID
    replayed: bool = False

    @property
    def row(self) -> Any:
        return self.rows[0]


@dataclass(frozen=True)
class Held:
    """A policy matched: nothing was applied, one request waits. `request` is what the edge renders with 202."""

    request: Any


@dataclass(frozen=True)
class Preview:
    """What a dry run found: every command's decision and change, the request it would open, the CMA calls to come."""

    cases: list[Case]
    held: Any | None
    calls: list[dict[str, Any]]
