"""Groups and their members."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Router

from accounts import queries
from accounts.api import rows
from accounts.api.shapes import GroupDetailOut, GroupIn, GroupMemberIn, GroupOut, GroupPatch, UserMemberIn
from accounts.commands.groups import AddMember, ArchiveGroup, CreateGroup, RemoveMember, UpdateGroup
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["accounts"])


@router.get("/groups", response=list[GroupOut], summary="List groups")
def list_groups(request: HttpRequest, ou_id: UUID | None = None) -> HttpResponseBase:
    found = queries.groups_visible_to(actor_of(request))
    if ou_id is not None:
        found = found.filter(ou_id=ou_id)
    return listing(request, found, rows.groups, newest_first=False)


@router.post("/groups", response={201: GroupDetailOut}, summary="Create a group")
def create_group(request: HttpRequest, body: GroupIn) -> HttpResponse:
    command = CreateGroup(id=new_id(), **body.model_dump())
    return perform(request, command, render=rows.group, find=queries.group_for, created=True)


@router.get("/groups/{uuid:group_id}", response=GroupDetailOut, summary="Get a group with its direct members")
def get_group(request: HttpRequest, group_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    return JsonResponse(rows.group(queries.group_for(actor, group_id), actor))


@router.patch("/groups/{uuid:group_id}", response=GroupDetailOut, summary="Change what is named of a group")
def update_group(request: HttpRequest, group_id: UUID, body: GroupPatch) -> HttpResponse:
    command = UpdateGroup(group_id=group_id, **body.model_dump(exclude_unset=True))
    return perform(request, command, render=rows.group, find=queries.group_for)


@router.delete("/groups/{uuid:group_id}", response={204: None}, summary="Archive a group")
def archive_group(request: HttpRequest, group_id: UUID) -> HttpResponse:
    return perform(request, ArchiveGroup(group_id=group_id), render=None)


@router.post("/groups/{uuid:group_id}/users", response=GroupDetailOut, summary="Put a user into a group")
def add_user(request: HttpRequest, group_id: UUID, body: UserMemberIn) -> HttpResponse:
    return _add(request, group_id, body.user_id)


@router.post("/groups/{uuid:group_id}/groups", response=GroupDetailOut, summary="Put a group into a group")
def add_group(request: HttpRequest, group_id: UUID, body: GroupMemberIn) -> HttpResponse:
    return _add(request, group_id, body.member_group_id)


@router.delete(
    "/groups/{uuid:group_id}/users/{uuid:user_id}", response={204: None}, summary="Take a user out of a group"
)
def remove_user(request: HttpRequest, group_id: UUID, user_id: UUID) -> HttpResponse:
    return perform(request, RemoveMember(group_id=group_id, member_id=user_id), render=None)


@router.delete(
    "/groups/{uuid:group_id}/groups/{uuid:member_group_id}", response={204: None}, summary="Take a group out of a group"
)
def remove_group(request: HttpRequest, group_id: UUID, member_group_id: UUID) -> HttpResponse:
    return perform(request, RemoveMember(group_id=group_id, member_id=member_group_id), render=None)


def _add(request: HttpRequest, group_id: UUID, member_id: UUID) -> HttpResponse:
    command = AddMember(group_id=group_id, member_id=member_id)
    return perform(request, command, render=rows.group, find=queries.group_for)
