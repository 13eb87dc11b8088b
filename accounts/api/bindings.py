"""Bindings of roles to principals."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Query, Router, Schema

from accounts import queries
from accounts.api import rows
from accounts.api.shapes import BindingIn, BindingOut
from accounts.commands.bindings import CreateBinding, DeleteBinding
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["access"])


class BindingFilter(Schema):
    """Exact matches: bindings that name this principal, at this very OU."""

    principal_id: UUID | None = None
    scope_ou_id: UUID | None = None
    role_id: UUID | None = None


@router.get("/role-bindings", response=list[BindingOut], summary="List bindings")
def list_bindings(request: HttpRequest, wanted: Query[BindingFilter]) -> HttpResponseBase:
    found = queries.bindings_visible_to(actor_of(request)).filter(**wanted.model_dump(exclude_none=True))
    return listing(request, found, rows.bindings, newest_first=False)


@router.post("/role-bindings", response={201: BindingOut}, summary="Bind a role")
def create_binding(request: HttpRequest, body: BindingIn) -> HttpResponse:
    command = CreateBinding(id=new_id(), **body.model_dump())
    return perform(request, command, render=rows.binding, find=queries.binding_for, created=True)


@router.get("/role-bindings/{uuid:binding_id}", response=BindingOut, summary="Get a binding")
def get_binding(request: HttpRequest, binding_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    return JsonResponse(rows.binding(queries.binding_for(actor, binding_id), actor))


@router.delete("/role-bindings/{uuid:binding_id}", response={204: None}, summary="End a binding")
def delete_binding(request: HttpRequest, binding_id: UUID) -> HttpResponse:
    return perform(request, DeleteBinding(binding_id=binding_id), render=None)
