"""What one reader sees of a request: all of it that he may read where it lies, and of the rest that there is some.

Who decides must see everything (`approvals.eligibility`). Who asked sees what he asked for, but not what it reaches
besides that, and nobody sees the bindings of who asked but himself and who may read them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # JSON
from uuid import UUID

from accounts import rbac
from accounts.law import Grant, decide, narrowed, shown
from accounts.roles import known_actions
from approvals.models import ApprovalRequest
from powerloom.kernel.explanation import UNSEEN, Explanation, Fact
from powerloom.kernel.refs import Actor

UNSEEN_THING = "something you cannot see"
BINDING_READ = "role_binding:read"

JSON = dict[str, Any]


class Eyes:
    """What one actor may read, asked once."""

    def __init__(self, actor: Actor, actions: Sequence[str]) -> None:
        self.actor = actor
        self._grants: list[Grant] = rbac.grants(actor, sorted(set(actions)))

    def see(self, action: str, ou_path: str, resource_id: UUID | None = None) -> bool:
        if narrowed(self.actor, action, ou_path):
            return False
        return decide(self._grants, action, ou_path, resource_id).allowed


@dataclass(frozen=True)
class Exposure:
    """The parts of a request as its reader sees them. `unread` says of each thing out of his sight where it is."""

    name: str
    changes: list[JSON]
    effects: list[JSON]
    commands: list[JSON]
    cma_calls: list[JSON]
    failure: JSON | None
    unread: list[str]


def exposed(actor: Actor, request: ApprovalRequest) -> Exposure:
    """Return what the actor sees of a request that it may see; one query."""
    return exposed_all(actor, [request])[0]


def exposed_all(actor: Actor, requests: Sequence[ApprovalRequest]) -> list[Exposure]:
    """Return what the actor sees of each of these requests, all of which it may see; one query for any number."""
    kinds = {request.target_kind for request in requests}
    kinds.update(one["kind"] for request in requests for one in _places(request))
    eyes = Eyes(actor, [BINDING_READ, *(f"{kind}:read" for kind in kinds)])
    return [_exposed(eyes, request) for request in requests]


def _exposed(eyes: Eyes, request: ApprovalRequest) -> Exposure:
    actor, hidden = eyes.actor, _unread(eyes, request)
    ids = {effect["id"] for effect in hidden}
    asked = {change["target"]["id"] for change in request.diff} if actor.id == request.requester_id else set()
    ids -= asked
    is_hidden = [change["target"]["id"] in ids for change in request.diff]
    return Exposure(
        name=_name(eyes, request),
        changes=[_change(one) if out else one for one, out in zip(request.diff, is_hidden, strict=True)],
        effects=[_effect(one, is_seen=one["id"] not in ids) for one in request.effects],
        commands=[_command(one) if out else one for one, out in zip(request.commands, is_hidden, strict=True)],
        cma_calls=[call for call in request.cma_calls if call.get("id") not in ids],
        failure=_failure(eyes, request),
        unread=[f"{effect['kind']} in {shown(effect['ou_path'])}" for effect in hidden],
    )


def names(actor: Actor, requests: Sequence[ApprovalRequest]) -> dict[UUID, str]:
    """Return for each request the name of what it changes, for who asked and who may read that; one query."""
    eyes = Eyes(actor, [f"{request.target_kind}:read" for request in requests])
    return {request.pk: _name(eyes, request) for request in requests}


def _name(eyes: Eyes, request: ApprovalRequest) -> str:
    action, place = f"{request.target_kind}:read", request.diff[0]["target"]["ou_path"]
    is_open = action not in known_actions() or request.requester_id == eyes.actor.id
    return request.target_name if is_open or eyes.see(action, place, request.target_id) else UNSEEN_THING


def unread(actor: Actor, request: ApprovalRequest) -> list[JSON]:
    """Return the effects of the request on things that the actor may not read."""
    places = _places(request)
    return _unread(Eyes(actor, [f"{effect['kind']}:read" for effect in places]), request) if places else []


def _places(request: ApprovalRequest) -> list[JSON]:
    """Return the effects on things that there is a right to read."""
    return [effect for effect in request.effects if f"{effect['kind']}:read" in known_actions()]


def _unread(eyes: Eyes, request: ApprovalRequest) -> list[JSON]:
    return [
        effect
        for effect in _places(request)
        if not eyes.see(f"{effect['kind']}:read", effect["ou_path"], UUID(effect["id"]))
    ]


def _change(change: JSON) -> JSON:
    target = change["target"] | {"id": None, "name": UNSEEN_THING}
    return change | {"target": target, "before": None, "after": None}


def _command(command: JSON) -> JSON:
    return {"action": command["action"], "data": {}}


def _effect(effect: JSON, *, is_seen: bool) -> JSON:
    place = {"ou_path": shown(effect["ou_path"])}
    return effect | place if is_seen else effect | place | {"id": None, "name": UNSEEN_THING}


def _failure(eyes: Eyes, request: ApprovalRequest) -> JSON | None:
    """Return why it was not applied. Bindings that decided so are told only to who may read them."""
    failure: JSON | None = request.failure
    if not failure or eyes.actor.id == request.requester_id:
        return failure
    paths = set(_scopes(failure))
    if not paths:
        return failure
    if all(eyes.see(BINDING_READ, path) for path in paths):
        return failure
    message = "Who asked for it may not do it any more."
    why = Explanation((Fact("rule", UNSEEN, decides=True),))
    return {"code": failure["code"], "message": message, "detail": {}, "explain": why.as_json()}


def _scopes(value: Any) -> Iterator[str]:
    """Return the scope of every binding in the JSON."""
    if isinstance(value, Mapping):
        if isinstance(value.get("scope_ou_path"), str):
            yield f"{value['scope_ou_path'].rstrip('/')}/"
        for inner in value.values():
            yield from _scopes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _scopes(inner)
