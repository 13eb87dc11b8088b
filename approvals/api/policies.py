"""Approval policies: which changes wait for whose yes. Governed and audited themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any  # JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Query, Router, Schema
from pydantic import Field

from accounts.queries import ou_for
from approvals import queries
from approvals.commands import (
    ArchivePolicy,
    CreatePolicy,
    PolicyChanges,
    PolicyFields,
    SwitchOffPolicy,
    UpdatePolicy,
)
from approvals.commands.policies import Part, Reason
from approvals.models import ApprovalPolicy
from approvals.rows import policy_row
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["approvals"])


class PolicyOut(Schema):
    """A policy as it is shown."""

    id: UUID
    name: str
    description: str
    scope_ou_id: UUID
    scope_ou_path: str
    action_pattern: str
    condition: str
    approver_role_id: UUID | None
    approver_role: str | None
    approver_group_id: UUID | None
    approver_group: str | None
    quorum: int
    ttl_seconds: int
    justification_required: bool
    is_on: bool
    generation: int
    created_at: datetime
    updated_at: datetime


class PolicyFilter(Schema):
    ou_id: UUID | None = None
    is_on: bool | None = None


class ChangesIn(PolicyChanges):
    """What is to change, and the generation that the caller saw."""

    generation: int | None = Field(None, ge=0, le=2**53 - 1)


class SwitchOffIn(Part):
    reason: Reason


@router.get("/approval-policies", response=list[PolicyOut], summary="List approval policies")
def list_policies(request: HttpRequest, wanted: Query[PolicyFilter]) -> HttpResponseBase:
    actor = actor_of(request)
    found = queries.policies_visible_to(actor)
    if wanted.ou_id is not None:
        found = found.filter(scope_ou=ou_for(actor, wanted.ou_id))
    if wanted.is_on is not None:
        found = found.filter(is_on=wanted.is_on)
    return listing(request, found, _rows)


@router.post("/approval-policies", response={201: PolicyOut}, summary="Make an approval policy")
def create_policy(request: HttpRequest, body: PolicyFields) -> HttpResponse:
    command = CreatePolicy(id=new_id(), **body.model_dump())
    return perform(request, command, render=_rendered, find=queries.policy_for_read, created=True)


@router.get("/approval-policies/{uuid:policy_id}", response=PolicyOut, summary="Get an approval policy")
def get_policy(request: HttpRequest, policy_id: UUID) -> HttpResponse:
    return JsonResponse(policy_row(queries.policy_for_read(actor_of(request), policy_id)))


@router.patch("/approval-policies/{uuid:policy_id}", response=PolicyOut, summary="Change an approval policy")
def update_policy(request: HttpRequest, policy_id: UUID, body: ChangesIn) -> HttpResponse:
    named = {name: getattr(body, name) for name in body.model_fields_set - {"generation"}}
    command = UpdatePolicy(policy_id=policy_id, changes=PolicyChanges(**named), generation=body.generation)
    return perform(request, command, render=_rendered, find=queries.policy_for_read)


@router.delete("/approval-policies/{uuid:policy_id}", response={204: None}, summary="End an approval policy")
def archive_policy(request: HttpRequest, policy_id: UUID) -> HttpResponse:
    return perform(request, ArchivePolicy(policy_id=policy_id), render=None)


@router.post(
    "/approval-policies/{uuid:policy_id}/switch-off", response=PolicyOut, summary="Switch a policy off, with a reason"
)
def switch_off_policy(request: HttpRequest, policy_id: UUID, body: SwitchOffIn) -> HttpResponse:
    command = SwitchOffPolicy(policy_id=policy_id, reason=body.reason)
    return perform(request, command, render=_rendered, find=queries.policy_for_read)


def _rows(found: Sequence[ApprovalPolicy]) -> list[dict[str, Any]]:
    return [policy_row(policy) for policy in found]


def _rendered(policy: ApprovalPolicy, actor: Actor) -> dict[str, Any]:
    return policy_row(policy)
