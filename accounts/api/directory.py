"""Who I am, and the organization's tree."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Router

from accounts import queries
from accounts.api import rows
from accounts.api.shapes import MeOut, OUIn, OUNode, OUOut, OUPatch, SettingsOut
from accounts.commands.ous import ArchiveOU, CreateOU, UpdateOU
from accounts.rbac import shown
from powerloom.kernel.errors import Conflict
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["accounts"])


@router.get("/me", response=MeOut, summary="Who I am")
def me(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    user = queries.myself(actor)
    home = user.home_ou if user else None
    return JsonResponse(
        {
            "id": str(actor.id),
            "principal_id": str(actor.id),
            "kind": actor.kind,
            "email": user.email if user else None,
            "name": user.name if user else actor.ref,
            "organization_id": str(actor.organization_id),
            "organization_name": queries.organization_of(actor).name,
            "home_ou_id": str(home.id) if home else None,
            "home_ou_path": shown(home.path) if home else None,
            "mcp_proxy_id": None,
        }
    )


@router.get("/organizations/me/settings", response=SettingsOut, summary="Settings of my organization")
def settings_of_mine(request: HttpRequest) -> dict[str, str]:
    return {"clone_auth_mode": "local_credentials"}


@router.get("/ous/tree", response=list[OUNode], summary="The tree of OUs")
def tree(request: HttpRequest) -> HttpResponse:
    return JsonResponse(queries.ou_tree(actor_of(request)), safe=False)


@router.get("/ous", response=list[OUOut], summary="List OUs")
def list_ous(request: HttpRequest, ou_id: UUID | None = None) -> HttpResponseBase:
    found = queries.ous_visible_to(actor_of(request))
    if ou_id is not None:
        found = found.filter(parent_id=ou_id)
    return listing(request, found, rows.ous, newest_first=False)


@router.post("/ous", response={201: OUOut}, summary="Create an OU")
def create_ou(request: HttpRequest, body: OUIn) -> HttpResponse:
    if body.parent_id is None:
        raise Conflict("An organization has one root OU. Name the parent of the new one.", field="parent_id")
    command = CreateOU(id=new_id(), parent_id=body.parent_id, name=body.name, display_name=body.display_name)
    return perform(request, command, render=rows.ou, find=queries.ou_for, created=True)


@router.get("/ous/{uuid:ou_id}", response=OUOut, summary="Get an OU")
def get_ou(request: HttpRequest, ou_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    return JsonResponse(rows.ou(queries.ou_for(actor, ou_id), actor))


@router.patch("/ous/{uuid:ou_id}", response=OUOut, summary="Change an OU's display name")
def update_ou(request: HttpRequest, ou_id: UUID, body: OUPatch) -> HttpResponse:
    command = UpdateOU(ou_id=ou_id, display_name=body.display_name)
    return perform(request, command, render=rows.ou, find=queries.ou_for)


@router.delete("/ous/{uuid:ou_id}", response={204: None}, summary="Archive an empty OU")
def archive_ou(request: HttpRequest, ou_id: UUID) -> HttpResponse:
    return perform(request, ArchiveOU(ou_id=ou_id), render=None)
