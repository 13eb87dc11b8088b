"""Asking for a right over REST: what the remedy of a refusal names is what one posts."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Self
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import Field, model_validator

from accounts.api import rows
from accounts.api.shapes import BindingOut
from accounts.queries import binding_for, ou_at
from approvals.commands.access import DEFAULT_SECONDS, CreateAccessRequest, Reason, Seconds, role_with
from approvals.commands.policies import Part
from powerloom.kernel.ids import new_id
from powerloom.web.answers import act_as, actor_of, perform

router = Router(tags=["access"])


class AccessRequestIn(Part):
    """Which right, and where: an OU by id or by path. Without a role it is the smallest that has the action."""

    action: Annotated[str, Field(max_length=100)]
    ou_id: UUID | None = None
    ou_path: Annotated[str, Field(max_length=2000)] | None = None
    role_id: UUID | None = None
    expires_in_seconds: Seconds = DEFAULT_SECONDS
    reason: Reason

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.ou_id is None) == (self.ou_path is None):
            raise ValueError("name the OU by ou_id or by ou_path")
        return self


@router.post("/access-requests", response={201: BindingOut}, summary="Ask for a right, for a time")
def ask(request: HttpRequest, body: AccessRequestIn) -> HttpResponse:
    actor = actor_of(request)
    act_as(request, replace(actor, justification=body.reason))
    command = CreateAccessRequest(
        id=new_id(),
        ou_id=body.ou_id or ou_at(actor, body.ou_path or "").id,
        role_id=role_with(actor, body.action, body.role_id).id,
        expires_in_seconds=body.expires_in_seconds,
        reason=body.reason,
    )
    return perform(request, command, render=rows.binding, find=binding_for, created=True)
