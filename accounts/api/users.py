"""People of the organization."""

from __future__ import annotations

from typing import Any  # JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Router

from accounts import queries
from accounts.api import rows
from accounts.api.shapes import UserIn, UserOut, UserPatch
from accounts.commands.users import CreateUser, DisableUser, EnableUser, MoveUser, UpdateUser
from accounts.models import User
from powerloom.commands.registry import Command
from powerloom.kernel.errors import Invalid
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["accounts"])


@router.get("/users", response=list[UserOut], summary="List users")
def list_users(request: HttpRequest, email: str | None = None, home_ou_id: UUID | None = None) -> HttpResponseBase:
    found = queries.users_visible_to(actor_of(request))
    if email is not None:
        found = found.filter(email__iexact=email)
    if home_ou_id is not None:
        found = found.filter(home_ou_id=home_ou_id)
    return listing(request, found, rows.users, newest_first=False)


@router.post("/users", response={201: UserOut}, summary="Create a user")
def create_user(request: HttpRequest, body: UserIn) -> HttpResponse:
    command = CreateUser(id=new_id(), **body.model_dump())
    return perform(request, command, render=rows.user, find=queries.user_for, created=True)


@router.get("/users/{uuid:user_id}", response=UserOut, summary="Get a user")
def get_user(request: HttpRequest, user_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    return JsonResponse(rows.user(queries.user_for(actor, user_id), actor))


@router.patch("/users/{uuid:user_id}", response=UserOut, summary="Rename, move, disable or enable a user")
def update_user(request: HttpRequest, user_id: UUID, body: UserPatch) -> HttpResponse:
    commands: list[Command] = []
    if body.name is not None:
        commands.append(UpdateUser(user_id=user_id, name=body.name))
    if body.home_ou_id is not None:
        commands.append(MoveUser(user_id=user_id, home_ou_id=body.home_ou_id))
    if body.is_active is not None:
        commands.append(EnableUser(user_id=user_id) if body.is_active else DisableUser(user_id=user_id))
    if not commands:
        raise Invalid("Name what should change: name, home_ou_id or is_active.")
    return perform(request, *commands, render=_as_it_is_now, find=queries.user_for)


def _as_it_is_now(row: User, actor: Actor) -> dict[str, Any]:
    """Each command of the set loaded its own row: read the result of all."""
    return rows.user(queries.user_for(actor, row.id), actor)
