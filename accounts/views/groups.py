"""Groups: the list, one group with its members and the groups it is in, and what one may do to it."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import lists, queries
from accounts.actions import Action
from accounts.commands.groups import ArchiveGroup, RemoveMember
from accounts.fields import ConfirmForm
from accounts.law import shown
from accounts.organization_forms import EditGroupForm, GroupForm, MemberForm
from accounts.reasons import reason_anywhere, reasons_against
from accounts.views.room import tabs
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.filters import Filters
from powerloom.web.lines import applying, place_of
from powerloom.web.lists import page_of
from powerloom.web.pages import go, page, signed_in
from powerloom.web.submitting import form_page, performed, posted, submitted

ROWS = 50
ACTS = {
    "edit": Action.GROUP_UPDATE,
    "archive": Action.GROUP_ARCHIVE,
    "add": Action.GROUP_ADD_MEMBER,
    "remove": Action.GROUP_REMOVE_MEMBER,
}


@signed_in
@require_GET
def group_list(request: HttpRequest) -> HttpResponse:
    """The groups of the organization."""
    actor, chosen = actor_of(request), Filters(request, q="Group", ou="OU")
    rows = lists.groups_matching(actor, text=chosen["q"], under=chosen["ou"])
    return page(
        request,
        "accounts/groups.html",
        "accounts/_groups.html",
        page=page_of(request, rows, size=ROWS, newest_first=False),
        chosen=chosen,
        chips=chosen.chips(),
        kept=chosen.kept(by_form=frozenset({"q"})),
        bare=request.path,
        line=applying("Group", {"name": "reviewers", "ou_path": place_of(request)}),
        refusals={"create": reason_anywhere(actor, Action.GROUP_CREATE)},
        **tabs("groups"),
    )


@signed_in
@require_GET
def group_detail(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """One group: its members, the groups it is in, and the bindings that name it."""
    actor = actor_of(request)
    group = queries.group_for(actor, group_id)
    against = reasons_against(actor, group.target(), list(ACTS.values()))
    return page(
        request,
        "accounts/group.html",
        "accounts/_group.html",
        group=group,
        page=page_of(request, queries.members_of(group), size=ROWS, newest_first=False),
        above=lists.groups_of(group.id),
        bindings=queries.bindings_visible_to(actor).filter(lists.unexpired(), principal_id=group.id)[:ROWS],
        refusals={act: against[action] for act, action in ACTS.items()},
        form=MemberForm(actor=actor, given={"group_id": group.id}),
        line=applying(
            "GroupMembership", {"group_path": f"{shown(group.ou.path)}/{group.name}", "member_ref": actor.ref}
        ),
        **tabs("groups"),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def group_new(request: HttpRequest) -> HttpResponse:
    """Make a group."""
    actor = actor_of(request)
    place = request.GET.get("ou") or shown(queries.root_of(actor).path)
    form = GroupForm(posted(request), actor=actor, given={"id": new_id()}, initial={"ou_id": place})
    return form_page(
        request,
        form,
        title="New group",
        word="Create the group",
        back=reverse("organization:groups"),
        then=lambda group: go(request, _address(group.id), saying=f"Created {group.name}."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def group_edit(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Change what people read of a group."""
    group = queries.group_for(actor_of(request), group_id)
    initial = {"display_name": group.display_name, "description": group.description}
    return form_page(
        request,
        EditGroupForm(posted(request), given={"group_id": group.id}, initial=initial),
        title=f"Edit {group.display_name}",
        word="Save",
        back=_address(group.id),
        crumb=group.ou.path,
        then=lambda _: go(request, _address(group.id), saying="Saved."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def group_archive(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """End a group."""
    group = queries.group_for(actor_of(request), group_id)
    members = queries.members_of(group).count()
    return form_page(
        request,
        ConfirmForm(posted(request), name=group.name),
        title=f"Archive {group.display_name}",
        word="Archive for ever",
        style="danger",
        back=_address(group.id),
        crumb=group.ou.path,
        note=f"Its {members} direct members leave it, and every binding that names it ends.",
        commands=lambda _: [ArchiveGroup(group_id=group.id)],
        then=lambda _: go(request, reverse("organization:groups"), saying=f"Archived {group.name}."),
    )


@signed_in
@require_POST
def member_add(request: HttpRequest, group_id: UUID) -> HttpResponse:
    """Put a user or a group into the group."""
    actor = actor_of(request)
    group = queries.group_for(actor, group_id)
    form = MemberForm(request.POST, actor=actor, given={"group_id": group.id})
    added = "Added, with all the rights that this brings."
    return submitted(
        request,
        form,
        "accounts/_add_member.html",
        group=group,
        then=lambda _: go(request, _address(group.id), saying=added),
    )


@signed_in
@require_POST
def member_remove(request: HttpRequest, group_id: UUID, member_id: UUID) -> HttpResponse:
    """Take a member out of the group."""
    return performed(
        request,
        RemoveMember(group_id=group_id, member_id=member_id),
        then=lambda _: go(request, _address(group_id), saying="Removed, with all the rights that it brought."),
    )


def _address(group_id: UUID) -> str:
    return reverse("organization:group", args=[group_id])
