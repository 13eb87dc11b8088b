"""Trying a policy before it is switched on: on a payload, and on what has happened already.

The trail keeps what changed and where it reached agents, not every word that was asked: a past change stands for its
own command, and of an agent that it reached nothing is known but where it lives. Only entries that the caller may read
are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any  # Any: payloads are JSON

from django.db.models import Q
from pydantic import Field

from accounts.law import shown
from accounts.trail import entries_visible_to
from approvals import conditions, patterns
from approvals.commands.policies import Part
from approvals.effects import AGENT_UPDATED
from approvals.models import ApprovalPolicy
from powerloom.audit.models import Entry
from powerloom.audit.queries import payload
from powerloom.kernel.refs import Actor

MOST_LOOKED_AT = 1000
LOOKS_BACK = timedelta(days=30)

JSON = dict[str, Any]


@dataclass(frozen=True)
class Guard:
    """The part of a policy that matches: what is tried."""

    scope_path: str
    action_pattern: str
    condition: str


class Sample(Part):
    """A made-up change: what a condition may look at. `ou_path` is where it would happen; without one, at the scope."""

    action: Annotated[str, Field(pattern=r"^[a-z][a-z_]*:[a-z][a-z_]*$", max_length=100)]
    ou_path: Annotated[str, Field(max_length=2000)] | None = None
    command: dict[str, Any] = {}
    resource: dict[str, Any] = {}
    before: dict[str, Any] = {}
    target: dict[str, Any] = {}
    actor: dict[str, Any] = {}


def guard_of(policy: ApprovalPolicy) -> Guard:
    """Return the part of a saved policy that matches."""
    return Guard(policy.scope_path, policy.action_pattern, policy.condition)


def tried(guard: Guard, action: str, ou_path: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return whether the guard would hold this, and which of its three parts says no. Pure."""
    place = f"{ou_path.rstrip('/')}/"
    parts = [
        ("action", guard.action_pattern in patterns.covering(action), f"{guard.action_pattern} against {action}"),
        ("scope", place.startswith(guard.scope_path), f"{shown(guard.scope_path)} against {shown(place)}"),
    ]
    holds, doubt = conditions.matches(guard.condition, {**_EMPTY, **facts, "action": action})
    words = f"cannot be decided, so it counts as true: {doubt}" if doubt else guard.condition or "no condition"
    parts.append(("condition", holds, words))
    return {
        "holds": all(is_met for _, is_met, _ in parts),
        "facts": [{"kind": kind, "holds": is_met, "text": text} for kind, is_met, text in parts],
    }


def past(actor: Actor, guard: Guard, *, since: datetime) -> dict[str, Any]:
    """Return the changes since then that the guard would have held, newest first, among the newest thousand that its
    action and scope may match: by what was done, or by the agents that it reached.
    """
    done = _of_pattern(guard.action_pattern) & Q(ou_path__startswith=guard.scope_path)
    entries = entries_visible_to(actor).filter(done | _reaching(guard), created_at__gte=since, decision="allowed")
    rows = list(entries.order_by("-seq")[:MOST_LOOKED_AT])
    looked_at = [(entry, found) for entry in rows if (found := list(_matched(guard, entry)))]
    held = [(entry, effect) for entry, found in looked_at if (effect := _held(guard, found))]
    return {
        "since": since.isoformat(),
        "looked_at": len(looked_at),
        "is_whole": len(rows) < MOST_LOOKED_AT,
        "held": [_row(entry, effect) for entry, effect in held],
    }


_EMPTY: dict[str, Any] = {name: {} for name in conditions.NAMES}


def _of_pattern(pattern: str) -> Q:
    if pattern == patterns.EVERYTHING:
        return Q()
    noun, _, verb = pattern.partition(":")
    return Q(action__startswith=f"{noun}:") if verb == "*" else Q(action=pattern)


def _reaching(guard: Guard) -> Q:
    """Return the entries that may have reached an agent in the scope; which have is in the bodies."""
    if guard.action_pattern not in patterns.covering(AGENT_UPDATED):
        return Q(pk__in=[])
    return Q(body__contains='"reached":{') & Q(body__contains=f'"{guard.scope_path}')


def _matched(guard: Guard, entry: Entry) -> Iterator[JSON]:
    """Return what the guard's action and scope match of an entry, as the facts that its condition looks at."""
    body = payload(entry)
    target, reached = body["target"], body["decision"].get("reached", {})
    facts = _EMPTY | {
        "action": body["action"],
        "command": body["after"] or {},
        "resource": body["after"] or {},
        "before": body["before"] or {},
        "target": {**target, "ou_path": shown(target["ou_path"])},
        "actor": {"kind": body["actor"]["kind"], "ref": body["actor"]["ref"]},
    }
    if _covers(guard, body["action"], target["ou_path"]):
        yield facts
    for path in reached.get("ou_paths", ()):
        if _covers(guard, reached["action"], path):
            agent = {"kind": "agent", "ou_path": shown(path)}
            yield facts | {"action": reached["action"], "resource": {}, "before": {}, "target": agent}


def _covers(guard: Guard, action: str, path: str) -> bool:
    return guard.action_pattern in patterns.covering(action) and path.startswith(guard.scope_path)


def _held(guard: Guard, found: Iterable[JSON]) -> JSON | None:
    """Return the first of these for which the condition holds, or cannot be decided."""
    return next((facts for facts in found if conditions.matches(guard.condition, facts)[0]), None)


def _row(entry: Entry, effect: JSON) -> JSON:
    return {
        "seq": entry.seq,
        "created_at": entry.created_at.isoformat(),
        "actor_ref": entry.actor_ref,
        "action": entry.action,
        "target": {"kind": entry.target_kind, "id": str(entry.target_id), "name": entry.target_name},
        "ou_path": shown(entry.ou_path),
        "effect": {"action": effect["action"], "ou_path": effect["target"]["ou_path"]},
    }
