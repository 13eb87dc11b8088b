"""Grants of one skill."""

from __future__ import annotations

from typing import Any  # JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from ninja import Router

from accounts.models import Binding
from agents import queries
from agents.api import rows
from agents.api.shapes import GrantOut
from agents.commands import GrantSkill, RevokeSkillGrant
from agents.queries.skills import grant_to, grants_of
from agents.spec import Part
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["skills"])


class Grant(Part):
    """To whom: a user, a group, an agent or an OU."""

    principal_id: UUID


@router.get("/skills/{uuid:skill_id}/grants", response=list[GrantOut], summary="List who was granted this skill")
def list_grants(request: HttpRequest, skill_id: UUID) -> HttpResponseBase:
    return listing(request, grants_of(queries.skill_for_read(actor_of(request), skill_id)), rows.grants)


@router.post("/skills/{uuid:skill_id}/grants", response={201: GrantOut}, summary="Grant this skill")
def grant_skill(request: HttpRequest, skill_id: UUID, body: Grant) -> HttpResponse:
    def render(grant: Binding, actor: Actor) -> dict[str, Any]:
        return rows.grants([grant])[0]

    def find(actor: Actor, skill_id: UUID) -> Binding:
        return grant_to(queries.skill_for_read(actor, skill_id), body.principal_id)

    command = GrantSkill(id=new_id(), skill_id=skill_id, principal_id=body.principal_id)
    return perform(request, command, render=render, find=find, created=True)


@router.delete("/skills/{uuid:skill_id}/grants/{uuid:grant_id}", response={204: None}, summary="End a grant")
def revoke_grant(request: HttpRequest, skill_id: UUID, grant_id: UUID) -> HttpResponse:
    return perform(request, RevokeSkillGrant(skill_id=skill_id, grant_id=grant_id), render=None)
