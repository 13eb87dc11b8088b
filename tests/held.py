"""Policies and held changes, as tests say them."""

from typing import Any
from uuid import UUID

from accounts.models import OU, Role, User
from agents.models import Agent
from approvals.commands import CreatePolicy
from approvals.models import ApprovalPolicy, ApprovalRequest
from powerloom.commands.bus import submit
from powerloom.commands.registry import Done
from powerloom.kernel.ids import new_id
from tests.world import actor_of, api_of

AGENT = {
    "display_name": "Code Reviewer",
    "model": "claude-sonnet-4-6",
    "system_prompt": "Review Python code.",
    "agent_kind": "user",
}


def builtin(name: str) -> UUID:
    return Role.objects.get(organization=None, name=name).pk


def make_policy(
    by: User, scope: OU, pattern: str = "agent:create", name: str = "gate", **fields: Any
) -> ApprovalPolicy:
    """A policy whose approvers are, unless said otherwise, the holders of Approver."""
    if "approver_group_id" not in fields:
        fields.setdefault("approver_role_id", builtin("Approver"))
    command = CreatePolicy(id=new_id(), name=name, scope_ou_id=scope.id, action_pattern=pattern, **fields)
    outcome = submit(command, actor=actor_of(by))
    assert isinstance(outcome, Done)
    policy: ApprovalPolicy = outcome.row
    return policy


def ask_for_agent(by: User, ou: OU, name: str = "code-reviewer", **headers: Any) -> Any:
    """Ask over the API for an agent in the OU."""
    return api_of(by).post("/agents", {**AGENT, "name": name, "ou_id": str(ou.id)}, **headers)


def held_agent(by: User, ou: OU, name: str = "code-reviewer") -> ApprovalRequest:
    """An agent that waits for approval."""
    answer = ask_for_agent(by, ou, name)
    assert answer.status_code == 202, answer.content
    return ApprovalRequest.objects.get(pk=answer.json()["id"])


def decide(by: User, request: ApprovalRequest, verdict: str = "approve", comment: str = "") -> Any:
    return api_of(by).post(f"/approvals/{request.pk}/{verdict}", {"comment": comment})


def agent_named(name: str = "code-reviewer") -> Agent | None:
    return Agent.objects.filter(name=name).first()
