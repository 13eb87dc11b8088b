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
from accounts.granters import actions_of, smallest_role
from accounts.queries import binding_for, ous_visible_to, role_for
from accounts.roles import known_actions
from approvals.commands.access import DEFAULT_SECONDS, CreateAccessRequest, Reason, Seconds
from approvals.commands.policies import Part
from powerloom.kernel.errors import Invalid, NotFound
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform

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
    if body.action not in known_actions():
        raise Invalid("There is no such action.", field="action")
    request.auth = replace(actor, justification=body.reason)  # type: ignore[attr-defined]  # where `actor_of` reads it
    command = CreateAccessRequest(
        id=new_id(),
        ou_id=body.ou_id or _ou_at(actor, body.ou_path or ""),
        role_id=_role_with(actor, body.action, body.role_id),
        expires_in_seconds=body.expires_in_seconds,
        reason=body.reason,
    )
    return perform(request, command, render=rows.binding, find=binding_for, created=True)


def _role_with(actor: Actor, action: str, role_id: UUID | None) -> UUID:
    """Return the named role, which must have the action, or else what was asked for would not be what is given."""
    if role_id is None:
        return smallest_role(action, actor.organization_id)[0].id
    role = role_for(actor, role_id)
    if action not in actions_of(role):
        raise Invalid(f"The role {role.name} does not have {action}. Name one that has, or none.", field="role_id")
    return role.id


def _ou_at(actor: Actor, path: str) -> UUID:
    found = ous_visible_to(actor).filter(path=f"{path.rstrip('/')}/").first()
    if found is None:
        raise NotFound
    return found.id
