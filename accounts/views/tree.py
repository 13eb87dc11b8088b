"""The tree of OUs, and one OU: what is in it, who may do what there, and what one may do to it."""

from __future__ import annotations

from typing import Any  # template context
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from accounts import lists, matrix, queries
from accounts.actions import Action
from accounts.commands.ous import ArchiveOU
from accounts.fields import ConfirmForm
from accounts.law import shown
from accounts.models import OU, PrincipalKind
from accounts.organization_forms import OUForm, RenameOUForm
from accounts.reasons import reason_anywhere, reasons_against
from accounts.views.room import tabs
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.filters import Filters
from powerloom.web.lines import applying
from powerloom.web.lists import page_of
from powerloom.web.pages import go, page, signed_in
from powerloom.web.submitting import form_page, posted

ROWS = 50
PAGES: dict[str, str] = {PrincipalKind.USER: "organization:user", PrincipalKind.AGENT: "agents:detail"}
ACTS = {
    "create": Action.OU_CREATE,
    "rename": Action.OU_UPDATE,
    "archive": Action.OU_ARCHIVE,
    "bind": Action.ROLE_BINDING_CREATE,
    "user": Action.USER_CREATE,
    "group": Action.GROUP_CREATE,
}


@signed_in
@require_GET
def tree(request: HttpRequest) -> HttpResponse:
    """The OUs of the organization as a tree, with how much lives in each."""
    actor, chosen = actor_of(request), Filters(request, q="Name")
    words, places = lists.tree(actor, text=chosen["q"])
    return page(
        request,
        "accounts/tree.html",
        "accounts/_tree.html",
        words=words,
        places=places,
        chosen=chosen,
        chips=chosen.chips(),
        bare=request.path,
        refusals={"create": reason_anywhere(actor, Action.OU_CREATE)},
        **tabs("tree"),
    )


@signed_in
@require_GET
def ou_detail(request: HttpRequest, ou_id: UUID) -> HttpResponse:
    """One OU: what it is, and what lies below it."""
    actor = actor_of(request)
    ou = queries.ou_for(actor, ou_id)
    words, places = lists.tree(actor, text=ou.path)
    return page(
        request, "accounts/ou.html", "accounts/_ou.html", words=words, places=places, **_head(request, ou, "overview")
    )


@signed_in
@require_GET
def access(request: HttpRequest, ou_id: UUID) -> HttpResponse:
    """Who can do what here: the people for whom a binding speaks, and the rule that decides each answer."""
    actor = actor_of(request)
    ou = queries.ou_for(actor, ou_id)
    chosen = Filters(request, q="Who", about="About")
    noun = chosen["about"] if chosen["about"] in matrix.nouns() else "agent"
    found = page_of(request, lists.people_reaching(actor, ou, text=chosen["q"]), size=ROWS, newest_first=False)
    actions = matrix.actions_about(noun)
    cells = matrix.cells(actor, ou, found.rows, lists.grants_by_person(found.rows), actions)
    rows = [
        {
            "id": one.pk,
            "head": one.ref.partition(":")[2],
            "url": reverse(PAGES[one.kind], args=[one.pk]),
            "cells": [cell and _shown(cell, ou, one.ref) for cell in cells[one.pk]],
        }
        for one in found.rows
    ]
    caption = f"Who may do what on {shown(ou.path)}"
    verbs = [action.partition(":")[2] for action in actions]
    return page(
        request,
        "accounts/ou.html",
        "accounts/_access.html",
        page=found,
        matrix={"caption": caption, "corner": "User or agent", "columns": verbs, "rows": rows},
        noun=noun,
        nouns=matrix.nouns(),
        chosen=chosen,
        chips=chosen.chips(),
        bare=request.path,
        **_head(request, ou, "access"),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def ou_new(request: HttpRequest) -> HttpResponse:
    """Make an OU below another."""
    actor = actor_of(request)
    below = request.GET.get("ou") or shown(queries.root_of(actor).path)
    form = OUForm(posted(request), actor=actor, given={"id": new_id()}, initial={"parent_id": below})
    return form_page(
        request,
        form,
        title="New OU",
        word="Create the OU",
        back=reverse("organization:tree"),
        then=lambda ou: go(request, reverse("organization:ou", args=[ou.id]), saying=f"Created {shown(ou.path)}."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def ou_edit(request: HttpRequest, ou_id: UUID) -> HttpResponse:
    """Change the name that people read."""
    ou = queries.ou_for(actor_of(request), ou_id)
    here = reverse("organization:ou", args=[ou.id])
    form = RenameOUForm(posted(request), given={"ou_id": ou.id}, initial={"display_name": ou.display_name})
    return form_page(
        request,
        form,
        title=f"Rename {ou.display_name}",
        word="Save",
        back=here,
        crumb=ou.path,
        note="The name in paths never changes.",
        then=lambda _: go(request, here, saying="Renamed."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def ou_archive(request: HttpRequest, ou_id: UUID) -> HttpResponse:
    """Take an empty OU out of the tree."""
    ou = queries.ou_for(actor_of(request), ou_id)
    return form_page(
        request,
        ConfirmForm(posted(request), name=ou.name),
        title=f"Archive {ou.display_name}",
        word="Archive for ever",
        style="danger",
        back=reverse("organization:ou", args=[ou.id]),
        crumb=ou.path,
        note="It must be empty. Its bindings end with it, and its name becomes free.",
        commands=lambda _: [ArchiveOU(ou_id=ou.id)],
        then=lambda _: go(request, reverse("organization:tree"), saying=f"Archived {shown(ou.path)}."),
    )


def _head(request: HttpRequest, ou: OU, tab: str) -> dict[str, Any]:
    against = reasons_against(actor_of(request), ou.target(), list(ACTS.values()))
    address = reverse("organization:ou", args=[ou.id])
    views = {"overview": ("Overview", address), "access": ("Who can do what", f"{address}/access")}
    links = [{"name": word, "url": url, "current": key == tab} for key, (word, url) in views.items()]
    lists_of = {"Users": "users", "Groups": "groups", "Bindings": "bindings"}
    links += [
        {"name": word, "url": f"{reverse(f'organization:{view}')}?{urlencode({'ou': shown(ou.path)})}"}
        for word, view in lists_of.items()
    ]
    return {
        "ou": ou,
        "path": shown(ou.path),
        "tab_template": f"accounts/_{'ou' if tab == 'overview' else tab}.html",
        "refusals": {act: against[action] for act, action in ACTS.items()},
        "tabs": links,
        "line": applying("OU", {"name": "platform", "parent_ou_path": shown(ou.path)}),
    }


def _shown(cell: matrix.Cell, ou: OU, ref: str) -> dict[str, Any]:
    about = urlencode({"who": ref, "action": cell.action, "ou": shown(ou.path)})
    return {
        "tone": "ok" if cell.allowed else "bad",
        "icon": "check" if cell.allowed else "ban",
        "word": cell.word,
        "title": cell.rule,
        "url": f"{reverse('organization:explain')}?{about}",
    }
