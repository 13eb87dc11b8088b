"""Which policies hold a set: by action pattern, scope and condition, each as it was before the set.

The query asks for patterns and scopes at once, so a thousand policies of which three apply cost three rows. A set that
changes policies itself is matched against what they were before it ran.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # facts are JSON
from uuid import UUID

from django.conf import settings
from django.db.models import Q
from django.utils.module_loading import import_string

from accounts.models import Membership
from approvals import conditions, patterns
from approvals.effects import Effect
from approvals.models import ApprovalPolicy
from powerloom.commands.registry import Handler
from powerloom.kernel.canonical import canonical

CHANGES_A_POLICY = ("approval_policy:update", "approval_policy:archive")
CHANGES_A_ROLE = ("role:update", "role:archive")
CHANGES_A_GROUP = ("group:add_member", "group:remove_member", "group:archive")
GUARDED = frozenset({*CHANGES_A_POLICY, *CHANGES_A_ROLE, *CHANGES_A_GROUP})


@dataclass(frozen=True)
class Match:
    """A policy and the effect that it holds; `doubt` is what kept its condition from being decided.

    `guards`: the effect is a change of the policy itself, or of who decides for it.
    """

    policy: ApprovalPolicy
    effect: Effect
    doubt: str = ""
    guards: bool = False


class Policies:
    """The policies of an organization as they are before a set."""

    def __init__(self, organization_id: UUID | None, handlers: Iterable[Handler[Any]]) -> None:
        self._live = ApprovalPolicy.objects.filter(
            Q(organization_id=organization_id), archived_at__isnull=True, is_on=True
        ).select_related("approver_role", "approver_group__ou", "scope_ou")
        changing = any(handler.action.startswith("approval_policy:") for handler in handlers)
        guarding = [handler.action for handler in handlers if handler.action in GUARDED]
        # Once the set has run, these can no longer be read as they were.
        self._before = list(self._live) if changing or guarding else None
        self._groups = _groups_of(self._before or [])

    def matching(self, effects: Sequence[Effect]) -> list[Match]:
        """Return who holds what, in a stable order."""
        found: list[Match] = []
        candidates = self._before if self._before is not None else self._candidates(effects)
        states = resulting(effects) if any(policy.condition for policy in candidates) else {}
        for policy in candidates:
            for effect in effects:
                match = self._match(policy, effect, states)
                if match:
                    found.append(match)
        return found

    def _candidates(self, effects: Sequence[Effect]) -> list[ApprovalPolicy]:
        if not effects:
            return []
        patterned = {pattern for effect in effects for pattern in patterns.covering(effect.action)}
        scopes = {path for effect in effects for path in patterns.paths_to(effect.target.ou_path)}
        rows = self._live.filter(action_pattern__in=patterned, scope_path__in=scopes)
        return list(rows.order_by("name", "pk"))

    def _match(self, policy: ApprovalPolicy, effect: Effect, states: Mapping[UUID, Any]) -> Match | None:
        if self._is_guarded(policy, effect):
            return Match(policy, effect, guards=True)
        if policy.action_pattern not in patterns.covering(effect.action):
            return None
        if not effect.target.ou_path.startswith(policy.scope_path):
            return None
        holds, doubt = conditions.matches(policy.condition, facts(effect, states))
        return Match(policy, effect, doubt) if holds else None

    def _is_guarded(self, policy: ApprovalPolicy, effect: Effect) -> bool:
        """Tell whether the effect changes the policy itself, or who decides for it."""
        if effect.action in CHANGES_A_POLICY:
            return effect.target.id == policy.id
        if effect.action in CHANGES_A_ROLE:
            return effect.target.id == policy.approver_role_id
        if effect.action in CHANGES_A_GROUP and policy.approver_group_id:
            return effect.target.id in self._groups.get(policy.approver_group_id, set())
        return False


def resulting(effects: Iterable[Effect]) -> dict[UUID, Any]:
    """Return the state that the set leads to, whole, by id of the thing; where nobody knows it whole, it is absent."""
    states: Callable[..., dict[UUID, Any]] = import_string(settings.RESULTING)
    return states([effect.target for effect in effects])


def facts(effect: Effect, states: Mapping[UUID, Any]) -> dict[str, Any]:
    """Return what a condition may look at: of a thing that is not known whole, the fields that change."""
    case, target = effect.case, effect.target
    change = case.change
    found = {
        "action": effect.action,
        "command": case.command.model_dump(mode="json"),
        "resource": dict(states.get(target.id) or (change.after if change else None) or {}),
        "before": dict((change.before if change else None) or {}),
        "target": {
            "kind": target.kind,
            "id": str(target.id),
            "name": target.name,
            "ou_path": target.ou_path.rstrip("/") or "/",
        },
        "actor": {"kind": case.actor.kind, "ref": case.actor.ref},
    }
    plain: dict[str, Any] = json.loads(canonical(found))  # handlers may leave enums in what they describe
    return plain


def _groups_of(policies: Iterable[ApprovalPolicy]) -> dict[UUID, set[UUID]]:
    """Return for each policy's group itself and every group nested in it; one query a level of nesting."""
    found = {policy.approver_group_id: {policy.approver_group_id} for policy in policies if policy.approver_group_id}
    frontier = set(found)
    while frontier:
        rows = Membership.objects.filter(group_id__in=frontier, member__kind="group").values_list(
            "group_id", "member_id"
        )
        frontier = set()
        for group, member in rows:
            for inside in found.values():
                if group in inside and member not in inside:
                    inside.add(member)
                    frontier.add(member)
    return found
