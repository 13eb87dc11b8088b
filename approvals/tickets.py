"""What a held set is as data, and the ticket that lets it pass once it was approved.

The digest tells one asked change from another: the requester, the commands, and how every object that they load stood
(`marks`). Ids that were minted for this one asking (of things to be made, of sealed values) are replaced by ordinals,
so that asking again is the same change. It is a keyed HMAC, because a command may name a secret's hash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any  # commands and actors are JSON
from uuid import UUID

from approvals.models import ApprovalRequest
from powerloom.audit.log import Record
from powerloom.commands.registry import Case, Command, command_of
from powerloom.kernel.canonical import keyed_digest
from powerloom.kernel.keys import derived_key
from powerloom.kernel.refs import Actor, Narrowing


@dataclass(frozen=True)
class Ticket:
    """Lets the set of one approved request pass the hold step, in the transaction that applies it."""

    request: ApprovalRequest

    @property
    def id(self) -> UUID:
        """The request's id, for the audit entries of what it lets pass."""
        return self.request.id

    def records(self) -> list[Record]:
        """What the trail says besides the changes: that they were replayed, and for which request."""
        return [Record("approval:replay", "", self.request.target(), after={"outcome": "applied"})]


def stored(commands: Iterable[Command]) -> list[dict[str, Any]]:
    """Return the commands as they are kept."""
    return [{"action": command.action, "data": command.model_dump(mode="json")} for command in commands]


def restored(kept: Iterable[Mapping[str, Any]]) -> list[Command]:
    """Return kept commands. Raises `KeyError` or `pydantic.ValidationError` when this version knows them no longer."""
    return [command_of(one["action"]).model_validate(one["data"]) for one in kept]


def actor_as_json(actor: Actor) -> dict[str, Any]:
    """Return the actor as it is kept: who, by which token, how far narrowed. How it signed in ends with the request."""
    kept = asdict(actor)
    for name in ("password_mark", "request_id", "address", "justification"):
        del kept[name]
    return {name: str(value) if isinstance(value, UUID) else value for name, value in kept.items()}


def actor_from(kept: Mapping[str, Any]) -> Actor:
    """Return the actor that was kept; whether it is still good is asked when it acts."""
    narrowing = kept["narrowing"]
    return Actor(
        kind=kept["kind"],
        id=_id(kept["id"]),
        principal_id=_id(kept["principal_id"]),
        organization_id=_id(kept["organization_id"]),
        ref=kept["ref"],
        token_id=_id(kept["token_id"]),
        narrowing=Narrowing(_actions(narrowing["actions"]), narrowing["ou_path"]) if narrowing else None,
        delegated_from_session=_id(kept["delegated_from_session"]),
    )


def marks_of(cases: Sequence[Case]) -> list[list[Any]]:
    """Return how everything that the set loaded stood, but for what it made itself, or what was staged for this asking
    and told from others by the command.
    """
    made = {str(case.target.id) for case in cases if _makes(case)}
    made.update(value for case in cases for value in case.command.minted_values())
    kept = [mark for case in cases for mark in case.marks if made.isdisjoint(mark.id.split())]
    seen = {(mark.label, mark.id): mark for mark in kept}
    return [[label, id_, mark.value] for (label, id_), mark in sorted(seen.items())]


def _makes(case: Case) -> bool:
    """What a command adds to was there before it: its loader found it."""
    is_new = case.change is not None and case.change.before is None
    return is_new and str(case.target.id) not in {mark.id for mark in case.marks}


def digest_of(cases: Sequence[Case], actor: Actor) -> str:
    """Return what tells this asked change from every other."""
    ordinals: dict[str, str] = {}
    for case in cases:
        for value in case.command.minted_values():
            ordinals.setdefault(value, f"#{len(ordinals)}")
    asked = _replaced(stored(case.command for case in cases), ordinals)
    who = [str(actor.id), str(actor.token_id), asdict(actor.narrowing) if actor.narrowing else None]
    return keyed_digest(derived_key("approval_digest"), _jsonable([who, asked, marks_of(cases)]))


def ids_in(value: Any) -> Iterator[UUID]:
    """Return every id that the JSON value names."""
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from ids_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from ids_in(inner)
    elif isinstance(value, str) and len(value) == 36:  # a UUID as text
        try:
            yield UUID(value)
        except ValueError:
            return


def _replaced(value: Any, ordinals: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {name: _replaced(inner, ordinals) for name, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, ordinals) for inner in value]
    return ordinals.get(value, value) if isinstance(value, str) else value


def _jsonable(value: Any) -> Any:
    """Tuples are lists to RFC 8785."""
    if isinstance(value, Mapping):
        return {name: _jsonable(inner) for name, inner in value.items()}
    return [_jsonable(inner) for inner in value] if isinstance(value, list | tuple) else value


def _id(kept: str | None) -> UUID | None:
    return UUID(kept) if kept else None


def _actions(kept: list[str] | None) -> tuple[str, ...] | None:
    return None if kept is None else tuple(kept)
