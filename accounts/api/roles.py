"""Roles, built in and custom."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Router

from accounts import queries
from accounts.api import rows
from accounts.api.shapes import RoleIn, RoleOut, RolePatch
from accounts.commands.roles import ArchiveRole, CreateRole, UpdateRole
from accounts.roles import as_table
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["access"])


ABOUT = f"The built-in roles, the same in every organization, and the custom ones.\n\n{as_table()}"


@router.get("/roles", response=list[RoleOut], summary="List roles with their actions", description=ABOUT)
def list_roles(request: HttpRequest) -> HttpResponseBase:
    return listing(request, queries.roles_visible_to(actor_of(request)), rows.roles, newest_first=False)


@router.post("/roles", response={201: RoleOut}, summary="Create a custom role")
def create_role(request: HttpRequest, body: RoleIn) -> HttpResponse:
    command = CreateRole(id=new_id(), **body.model_dump())
    return perform(request, command, render=rows.role, find=queries.role_for, created=True)


@router.get("/roles/{uuid:role_id}", response=RoleOut, summary="Get a role")
def get_role(request: HttpRequest, role_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    return JsonResponse(rows.role(queries.role_for(actor, role_id), actor))


@router.patch("/roles/{uuid:role_id}", response=RoleOut, summary="Change what is named of a custom role")
def update_role(request: HttpRequest, role_id: UUID, body: RolePatch) -> HttpResponse:
    command = UpdateRole(role_id=role_id, **body.model_dump(exclude_unset=True))
    return perform(request, command, render=rows.role, find=queries.role_for)


@router.delete("/roles/{uuid:role_id}", response={204: None}, summary="Archive a custom role")
def archive_role(request: HttpRequest, role_id: UUID) -> HttpResponse:
    return perform(request, ArchiveRole(role_id=role_id), render=None)
