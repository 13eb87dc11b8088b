"""How requests and policies are shown, in the API and in what a held write answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any  # JSON
from uuid import UUID

from accounts.law import shown
from approvals import eligibility
from approvals.demands import CONFIRMING
from approvals.exposure import UNSEEN_THING, Exposure
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision, Demand
from powerloom.web.text import visible

MOST_NAMED = 5


def demands_of(request: ApprovalRequest) -> list[Demand]:
    """Return the demands of one request, in order."""
    return list(Demand.objects.filter(request=request).select_related("ou").order_by("policy_name", "pk"))


def held_row(
    request: ApprovalRequest, demands: Sequence[Demand], approvers: Sequence[str], *, is_new: bool
) -> dict[str, Any]:
    """Return what a held write answers: the request, who holds it and who can let it pass."""
    policies = sorted({demand.policy_name for demand in demands})
    return {
        "approval_request_id": str(request.id),
        "id": str(request.id),
        "status": request.status,
        "policies": policies,
        "approvers": list(approvers),
        "expires_at": _time(request.expires_at),
        "is_new": is_new,
        "message": (
            f"Held by {', '.join(policies)}: nothing was changed. Request submitted (ID: {request.id}). "
            f"{' or '.join(approvers) or 'Nobody can approve it now; an OrgAdmin'} will see it in the /approvals inbox."
        ),
    }


def approvers_of(request: ApprovalRequest, demands: Sequence[Demand]) -> list[str]:
    """Return some people who could decide, by e-mail."""
    able = eligibility.anybody(demands, but=request.askers)
    return list(able.order_by("email").values_list("email", flat=True)[:MOST_NAMED])


def request_rows(
    requests: Sequence[ApprovalRequest],
    demands: dict[UUID, list[Demand]],
    decisions: dict[UUID, list[Decision]],
    names: dict[UUID, str],
) -> list[dict[str, Any]]:
    """Return requests as lists show them; `names` is what each changes, as its reader may know it."""
    return [request_row(one, demands[one.pk], decisions[one.pk], names[one.pk]) for one in requests]


def request_row(
    request: ApprovalRequest, demands: Sequence[Demand], decisions: Sequence[Decision], name: str
) -> dict[str, Any]:
    """Return one request as lists show it. `action` is the verb and `resource_kind` its noun, as clients expect."""
    is_named = name != UNSEEN_THING
    noun, _, verb = request.action.partition(":")
    return {
        "id": str(request.id),
        "status": request.status,
        "outcome": request.outcome or None,
        "resource_kind": noun,
        "action": verb,
        "full_action": request.action,
        "target": {
            "kind": request.target_kind,
            "id": str(request.target_id) if is_named else None,
            "name": name,
        },
        "requester_id": str(request.requester_id),
        "requester_email": request.requester_ref.partition(":")[2],
        "requester_ref": request.requester_ref,
        "policy_name": ", ".join(sorted({demand.policy_name for demand in demands})),
        "scope_ou_id": str(request.ou_id),
        "scope_ou_path": shown(request.ou.path),
        "justification": request.justification,
        "pending_payload": _payload(request) if is_named else {},
        "command_count": len(request.commands),
        "demands": [_demand(demand) for demand in demands],
        "decisions": [_decision(decision) for decision in decisions],
        "created_at": _time(request.created_at),
        "expires_at": _time(request.expires_at),
        "decided_at": _time(request.decided_at),
        "applied_at": _time(request.applied_at),
    }


def request_detail(
    request: ApprovalRequest, demands: Sequence[Demand], decisions: Sequence[Decision], seen: Exposure
) -> dict[str, Any]:
    """Return one request with all that is needed to decide it, as its reader sees it."""
    return request_row(request, demands, decisions, seen.name) | {
        "changes": seen.changes,
        "tool_call": tool_call(request, seen),
        "effects": seen.effects,
        "commands": seen.commands,
        "cma_calls": seen.cma_calls,
        "approvers": approvers_of(request, demands),
        "delegated_from_session": request.actor.get("delegated_from_session"),
        "failure": seen.failure,
        "cannot_read": seen.unread,
    }


def tool_call(request: ApprovalRequest, seen: Exposure) -> dict[str, Any] | None:
    """Return the call that a request is about, None when it is about something else or out of its reader's sight.

    Everything is exactly as the agent made it; `readable` is the same with what would be hidden written out.
    """
    if request.action != CONFIRMING:
        return None
    call: dict[str, Any] | None = seen.changes[0]["after"]
    if call is None:
        return None
    return call | {
        "session_url": f"/sessions/{call['session_id']}",
        "readable": {
            "tool": visible(call["tool"]),
            "server": visible(call["server"]) if call["server"] is not None else None,
            "arguments": visible(json.dumps(call["arguments"], ensure_ascii=False, indent=2)),
            "session_title": visible(call["session_title"] or ""),
        },
    }


def policy_row(policy: ApprovalPolicy) -> dict[str, Any]:
    """Return a policy as the API shows it."""
    return {
        "id": str(policy.id),
        "name": policy.name,
        "description": policy.description,
        "scope_ou_id": str(policy.scope_ou_id),
        "scope_ou_path": shown(policy.scope_path),
        "action_pattern": policy.action_pattern,
        "condition": policy.condition,
        "approver_role_id": _id(policy.approver_role_id),
        "approver_role": policy.approver_role.name if policy.approver_role else None,
        "approver_group_id": _id(policy.approver_group_id),
        "approver_group": policy.approver_group.ref if policy.approver_group else None,
        "quorum": policy.quorum,
        "ttl_seconds": policy.ttl_seconds,
        "justification_required": policy.justification_required,
        "is_on": policy.is_on,
        "generation": policy.generation,
        "created_at": _time(policy.created_at),
        "updated_at": _time(policy.updated_at),
    }


def _payload(request: ApprovalRequest) -> dict[str, Any]:
    if request.action == CONFIRMING:
        return {"name": request.target_name}
    data = request.commands[0]["data"] if request.commands else {}
    return {name: data[name] for name in ("name", "display_name") if isinstance(data.get(name), str)}


def _demand(demand: Demand) -> dict[str, Any]:
    return {
        "policy_id": _id(demand.policy_id),
        "policy_name": demand.policy_name,
        "ou_path": shown(demand.ou.path),
        "approver": demand.approver,
        "quorum": demand.quorum,
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "decider_id": str(decision.decider_id),
        "decider_ref": decision.decider_ref,
        "verdict": decision.verdict,
        "comment": decision.comment,
        "created_at": _time(decision.created_at),
    }


def _id(value: UUID | None) -> str | None:
    return str(value) if value else None


def _time(value: datetime | None) -> str | None:
    return value.isoformat() if value else None
