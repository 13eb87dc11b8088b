"""Trying a policy before it is switched on: on a payload, and on what has happened already.

The trail keeps what changed, not every word that was asked, so a past change stands for its own command. Only entries
that the caller may read are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any  # Any: payloads are JSON

from django.db.models import Q
from pydantic import Field

from accounts.law import shown
from accounts.trail import entries_visible_to
from approvals import conditions, patterns
from approvals.commands.policies import Part
from approvals.models import ApprovalPolicy
from powerloom.audit.models import Entry
from powerloom.audit.queries import payload
from powerloom.kernel.refs import Actor

MOST_LOOKED_AT = 1000
LOOKS_BACK = timedelta(days=30)


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
    action and scope match.
    """
    matching = _of_pattern(guard.action_pattern) & Q(ou_path__startswith=guard.scope_path)
    entries = entries_visible_to(actor).filter(matching, created_at__gte=since, decision="allowed")
    looked_at = list(entries.order_by("-seq")[:MOST_LOOKED_AT])
    held = [entry for entry in looked_at if conditions.matches(guard.condition, _facts(entry))[0]]
    return {
        "since": since.isoformat(),
        "looked_at": len(looked_at),
        "is_whole": len(looked_at) < MOST_LOOKED_AT,
        "held": [_row(entry) for entry in held],
    }


_EMPTY: dict[str, Any] = {name: {} for name in conditions.NAMES}


def _of_pattern(pattern: str) -> Q:
    if pattern == patterns.EVERYTHING:
        return Q()
    noun, _, verb = pattern.partition(":")
    return Q(action__startswith=f"{noun}:") if verb == "*" else Q(action=pattern)


def _facts(entry: Entry) -> dict[str, Any]:
    body = payload(entry)
    target = body["target"]
    return _EMPTY | {
        "action": body["action"],
        "command": body["after"] or {},
        "resource": body["after"] or {},
        "before": body["before"] or {},
        "target": {**target, "ou_path": shown(target["ou_path"])},
        "actor": {"kind": body["actor"]["kind"], "ref": body["actor"]["ref"]},
    }


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "created_at": entry.created_at.isoformat(),
        "actor_ref": entry.actor_ref,
        "action": entry.action,
        "target": {"kind": entry.target_kind, "id": str(entry.target_id), "name": entry.target_name},
        "ou_path": shown(entry.ou_path),
    }
