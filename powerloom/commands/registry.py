"""Which command means which action, what it loads and what it does.

A command is data: frozen, JSON-able, without secrets, so that it can be held, shown, hashed and replayed. A handler
only changes rows; it rings no bell, calls no network and causes no second action.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar  # Any: row types differ by handler
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from powerloom.kernel.errors import NotFound, PowerloomError
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
E = TypeVar("E", bound=PowerloomError)
T = TypeVar("T")
Load = Callable[[C, Actor], Subject]
Apply = Callable[..., Change]
Found = Subject | PowerloomError
LoadAll = Callable[[Sequence[C], Actor], Sequence[Found]]
ApplyAll = Callable[..., Sequence[Change]]


def subjects_in(rows: Mapping[UUID, Any], ids: Iterable[UUID]) -> list[Found]:
    """Return what each id names, to be judged at its own place; what is not among the rows is `NotFound`."""
    return [Subject(rows[id_], rows[id_].target()) if id_ in rows else NotFound() for id_ in ids]


@dataclass(frozen=True)
class Handler(Generic[C]):
    """How the commands of one type are loaded and applied, in lists.

    `load` answers for each command what it found, or the error that it did not. `is_bulk`: neighbors of this type are
    taken together, so their queries do not grow with them; the others are taken one by one, so that each sees what the
    ones before it made. `changes_access`: it changes bindings, roles, groups, users, OUs, tokens or policies, so it
    takes the organization's access epoch exclusively and bumps it. `holdable`: approval policies may hold it.
    """

    command: type[C]
    load: LoadAll[C]
    apply: ApplyAll
    changes_access: bool = False
    holdable: bool = True
    is_bulk: bool = False

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

    def load_each(commands: Sequence[C], actor: Actor) -> Sequence[Found]:
        return [load(one, actor) for one in commands]

    def register(apply: Apply) -> Apply:
        def apply_each(commands: Sequence[C], *, subjects: Sequence[Subject], actor: Actor) -> Sequence[Change]:
            pairs = zip(commands, subjects, strict=True)
            return [apply(one, subject=subject, actor=actor) for one, subject in pairs]

        _register(Handler(command, load_each, apply_each, changes_access, holdable))
        return apply

    return register


def handles_all(
    command: type[C], *, load: LoadAll[C], changes_access: bool = False, holdable: bool = True
) -> Callable[[ApplyAll], ApplyAll]:
    """As `handles`, for a function that takes a list of commands at once and returns the change of each.

    It is called as `apply(commands, subjects=[Subject], actor=Actor)`. What it raises says by `at(error, place)` which
    of the commands it is about.
    """

    def register(apply: ApplyAll) -> ApplyAll:
        _register(Handler(command, load, apply, changes_access, holdable, is_bulk=True))
        return apply

    return register


def at(error: E, place: int) -> E:
    """Return the error, said of one of several commands."""
    error.position = place
    return error


def at_each(errors: Mapping[int, E]) -> E:
    """Return the first of several errors, each said of one of the commands; it brings the others along."""
    first, *_ = sorted(errors)
    errors[first].together = dict(errors)
    return at(errors[first], first)


def each(count: int, make: Callable[[int], T], *, once: Callable[[int], object] | None = None) -> list[T]:
    """Return what `make` makes of each of several commands, by its place. Raises all that it refuses together.

    `once` names the thing that a command ends: for one after it that is about the same, it is no longer there.
    """
    made, refused = [], {}
    gone: set[object] = set()
    for place in range(count):
        try:
            if once is not None and once(place) in gone:
                raise NotFound
            made.append(make(place))
        except PowerloomError as error:
            refused[place] = error
        else:
            gone.update([once(place)] if once else ())
    if refused:
        raise at_each(refused)
    return made


def _register(handler: Handler[Any]) -> None:
    if handler.action in _BY_ACTION:
        raise RuntimeError(f"{handler.action} already has a handler")
    _HANDLERS[handler.command] = _BY_ACTION[handler.action] = handler


def handler_of(command: Command) -> Handler[Any]:
    """Return the handler registered for this command's type (KeyError when there is none: a programming error)."""
    return _HANDLERS[type(command)]


def command_of(action: str) -> type[Command]:
    """Return the command type of an action (KeyError when there is none)."""
    return _BY_ACTION[action].command


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
