"""What a set does, as policies see it: its own actions where they happen, and what changes underneath agents elsewhere.

A policy matches on effects: whoever changes the effective configuration of an agent by any route (something attached or
restored, a skill's current version, a server's address, a tool policy, a secret) updates that agent, wherever it lives.
Which agents are reached only `settings.EFFECTS` knows, because the apps that own them lie above this one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any  # JSON
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from powerloom.commands.registry import Case, Handler
from powerloom.kernel.refs import Target

AGENT_UPDATED = "agent:update"
MOST_NOTED = 100  # places; a record has its measure

Reach = Callable[[Sequence[Case], Sequence[dict[str, Any]], AbstractSet[UUID]], list[Target]]


@dataclass(frozen=True)
class Effect:
    """One action on one thing. `case` is the command that causes it; `is_own`: it is that command's own."""

    action: str
    target: Target
    case: Case
    is_own: bool = True

    def as_json(self) -> dict[str, Any]:
        target = self.target
        return {
            "action": self.action,
            "kind": target.kind,
            "id": str(target.id),
            "name": target.name,
            "ou_path": target.ou_path,
        }


def returning(organization_id: UUID | None, handlers: Iterable[Handler[Any]]) -> AbstractSet[UUID]:
    """Return, before a set that changes access runs, the agents that get something back all the same: an earlier change
    gave it, and the next look at access will find it.
    """
    if organization_id is None or not any(handler.changes_access and handler.holdable for handler in handlers):
        return frozenset()
    agents: Callable[[UUID], AbstractSet[UUID]] = import_string(settings.RETURNING)
    return agents(organization_id)


def of(cases: Sequence[Case], stale: Sequence[dict[str, Any]], already: AbstractSet[UUID]) -> list[Effect]:
    """Return every effect of the set, the commands' own first. `stale` is what it made the reconciler push again,
    `already` what `returning` found before it ran.
    """
    holdable = [case for case in cases if case.handler.holdable and not (case.change and case.change.only_revokes)]
    own = [Effect(case.command.action, case.target, case) for case in holdable]
    if not holdable:
        return []
    updated = {effect.target.id for effect in own if effect.action == AGENT_UPDATED}
    return own + [
        Effect(AGENT_UPDATED, target, holdable[0], is_own=False)
        for target in _reached(holdable, stale, already)
        if target.id not in updated
    ]


def note(effects: Iterable[Effect]) -> None:
    """Have the records of what passes say where it reached agents: so that a policy can be tried on what has been."""
    reached: dict[int, tuple[Case, set[str]]] = {}
    for effect in effects:
        if not effect.is_own:
            reached.setdefault(id(effect.case), (effect.case, set()))[1].add(effect.target.ou_path)
    for case, paths in reached.values():
        case.decision["reached"] = {"action": AGENT_UPDATED, "ou_paths": sorted(paths)[:MOST_NOTED]}


def actions(effects: Iterable[Effect]) -> set[str]:
    """Return the actions among the effects."""
    return {effect.action for effect in effects}


def reached_ids(stale: Iterable[dict[str, Any]], kind: str) -> set[UUID]:
    """Return the ids of one kind among what became stale."""
    return {UUID(call["id"]) for call in stale if call["kind"] == kind}


def _reached(cases: Sequence[Case], stale: Sequence[dict[str, Any]], already: AbstractSet[UUID]) -> list[Target]:
    reach: Reach = import_string(settings.EFFECTS)
    return reach(cases, stale, already)
