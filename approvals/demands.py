"""What a set must satisfy before it may pass: one demand for each policy and each OU in which it applies.

An access request is held whatever the policies say: giving rights is for those who can give them. So is a tool call
that asks: it waits for whoever may confirm the calls of its agent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from approvals.giving import GRANTING
from approvals.matching import Match
from approvals.models import ApprovalRequest, Demand
from approvals.models.policies import DEFAULT_TTL_SECONDS
from powerloom.commands.registry import Case

ACCESS_REQUEST = "access_request:create"
CONFIRMING = "tool_call:confirm"


@dataclass(frozen=True)
class Asked:
    """One demand, before it is a row."""

    policy_id: UUID | None
    policy_name: str
    policy_generation: int
    ou_path: str
    approver: str
    quorum: int
    ttl: timedelta
    justification_required: bool = False
    approver_role_id: UUID | None = None
    approver_group_id: UUID | None = None
    approver_action: str = ""
    approver_user_id: UUID | None = None
    is_private: bool = False
    role_given_id: UUID | None = None
    seconds_given: int | None = None
    doubt: str = ""


def demands_for(cases: Sequence[Case], matches: Sequence[Match]) -> list[Asked]:
    """Return what the policies that matched ask, and what the kind of command asks by itself."""
    once: dict[tuple[UUID, str], Match] = {}
    for match in matches:
        once.setdefault((match.policy.id, match.effect.target.ou_path), match)
    return [_by_policy(match) for match in once.values()] + [
        _by_kind(case) for case in cases if case.command.action == ACCESS_REQUEST
    ]


def standing(request: ApprovalRequest) -> list[Asked]:
    """Return what a tool call's request asks: its command does not say it again, so the request's own demands do."""
    if request.action != CONFIRMING:
        return []
    return [_as_asked(one) for one in Demand.objects.filter(request=request).select_related("ou")]


def _as_asked(demand: Demand) -> Asked:
    return Asked(
        policy_id=None,
        policy_name=demand.policy_name,
        policy_generation=0,
        ou_path=demand.ou.path,
        approver=demand.approver,
        quorum=demand.quorum,
        ttl=timedelta(seconds=DEFAULT_TTL_SECONDS),
        approver_action=demand.approver_action,
        approver_user_id=demand.approver_user_id,
        is_private=demand.is_private,
    )


def _by_policy(match: Match) -> Asked:
    policy = match.policy
    return Asked(
        policy_id=policy.id,
        policy_name=policy.name,
        policy_generation=policy.generation,
        ou_path=match.effect.target.ou_path,
        approver=policy.approver,
        quorum=policy.quorum,
        ttl=timedelta(seconds=policy.ttl_seconds),
        justification_required=policy.justification_required,
        approver_role_id=policy.approver_role_id,
        approver_group_id=policy.approver_group_id,
        doubt=match.doubt,
    )


def _by_kind(case: Case) -> Asked:
    asked = case.command.model_dump()
    return Asked(
        policy_id=None,
        policy_name="access request",
        policy_generation=0,
        ou_path=case.target.ou_path,
        approver=f"people who may give the role {case.target.name}",
        quorum=1,
        ttl=timedelta(seconds=DEFAULT_TTL_SECONDS),
        approver_action=GRANTING,
        role_given_id=asked["role_id"],
        seconds_given=asked["expires_in_seconds"],
    )
