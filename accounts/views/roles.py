"""Roles: the ten built-in ones and the custom ones, one role with its actions, and making, changing and ending one."""

from __future__ import annotations

from itertools import groupby
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from accounts import lists, queries
from accounts.actions import Action
from accounts.commands.roles import ArchiveRole
from accounts.fields import ConfirmForm
from accounts.granters import actions_of
from accounts.matrix import actions_about, nouns
from accounts.models import Role
from accounts.organization_forms import EditRoleForm, RoleForm
from accounts.reasons import Reason, reasons_against
from accounts.roles import ROLES
from accounts.views.room import tabs
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target
from powerloom.web.answers import actor_of
from powerloom.web.lines import curl
from powerloom.web.lists import page_of
from powerloom.web.pages import go, page, signed_in
from powerloom.web.submitting import form_page, posted

ROWS = 50
BUILT_IN = "It is built in, the same in every organization. Make a custom role instead."


@signed_in
@require_GET
def role_list(request: HttpRequest) -> HttpResponse:
    """All roles: how much each may do of what, and how many bindings name it."""
    actor = actor_of(request)
    built_in = sorted(
        queries.roles_visible_to(actor).filter(organization__isnull=True), key=lambda role: list(ROLES).index(role.name)
    )
    custom = page_of(
        request, queries.roles_visible_to(actor).filter(organization__isnull=False), size=ROWS, newest_first=False
    )
    root = queries.root_of(actor).target()
    return page(
        request,
        "accounts/roles.html",
        "accounts/_roles.html",
        matrix={
            "caption": "Built-in roles and how many actions each has",
            "corner": "Built-in role",
            "columns": nouns(),
            "rows": [_row(role) for role in built_in],
        },
        page=custom,
        holders=lists.holders_of([*built_in, *custom.rows], actor),
        refusals={"create": reasons_against(actor, root, [Action.ROLE_CREATE])[Action.ROLE_CREATE]},
        line=curl(request, "/roles", '{"name": "Deployer", "actions": ["agent:read"]}'),
        **tabs("roles"),
    )


@signed_in
@require_GET
def role_detail(request: HttpRequest, role_id: UUID) -> HttpResponse:
    """One role: its actions, and the bindings that name it."""
    actor = actor_of(request)
    role = queries.role_for(actor, role_id)
    by_noun = groupby(sorted(actions_of(role)), key=lambda action: action.partition(":")[0])
    found = queries.bindings_visible_to(actor).filter(lists.unexpired(), role=role)
    return page(
        request,
        "accounts/role.html",
        "accounts/_role.html",
        role=role,
        actions=[(noun, [action.partition(":")[2] for action in actions]) for noun, actions in by_noun],
        page=page_of(request, found, size=ROWS, newest_first=False),
        refusals=_refusals(request, role),
        **tabs("roles"),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def role_new(request: HttpRequest) -> HttpResponse:
    """Make a custom role."""
    return form_page(
        request,
        RoleForm(posted(request), given={"id": new_id()}),
        title="New role",
        word="Create the role",
        back=reverse("organization:roles"),
        note="A role is a set of actions. Only who holds all of them may bind it.",
        then=lambda role: go(request, _address(role.pk), saying=f"Created {role.name}."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def role_edit(request: HttpRequest, role_id: UUID) -> HttpResponse:
    """Change a custom role; its holders gain and lose at once."""
    role = queries.role_for(actor_of(request), role_id)
    initial = {"description": role.description, "actions": sorted(actions_of(role))}
    return form_page(
        request,
        EditRoleForm(posted(request), given={"role_id": role.pk}, initial=initial),
        title=f"Edit {role.name}",
        word="Save",
        back=_address(role.pk),
        note="Whoever has this role gains and loses at once.",
        then=lambda _: go(request, _address(role.pk), saying="Saved."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def role_archive(request: HttpRequest, role_id: UUID) -> HttpResponse:
    """End a custom role that nothing binds any more."""
    role = queries.role_for(actor_of(request), role_id)
    return form_page(
        request,
        ConfirmForm(posted(request), name=role.name),
        title=f"Archive {role.name}",
        word="Archive for ever",
        style="danger",
        back=_address(role.pk),
        note="No binding may name it any more. Its name becomes free.",
        commands=lambda _: [ArchiveRole(role_id=role.pk)],
        then=lambda _: go(request, reverse("organization:roles"), saying=f"Archived {role.name}."),
    )


def _row(role: Role) -> dict[str, object]:
    held = actions_of(role)
    cells: list[dict[str, str] | None] = []
    for noun in nouns():
        every = actions_about(noun)
        has = [action for action in every if action in held]
        whole = len(has) == len(every)
        cell = {"tone": "ok" if whole else "off", "icon": "check" if whole else "circle-dashed"}
        words = "All" if whole else f"{len(has)} of {len(every)}"
        cells.append(cell | {"word": words, "title": ", ".join(has)} if has else None)
    return {"id": role.pk, "head": role.name, "url": _address(role.pk), "cells": cells}


def _refusals(request: HttpRequest, role: Role) -> dict[str, Reason]:
    if role.organization_id is None:
        return {"edit": Reason(BUILT_IN), "archive": Reason(BUILT_IN)}
    root = queries.root_of(actor_of(request))
    target = Target("role", role.pk, role.name, root.organization_id, root.path)
    against = reasons_against(actor_of(request), target, [Action.ROLE_UPDATE, Action.ROLE_ARCHIVE])
    return {"edit": against[Action.ROLE_UPDATE], "archive": against[Action.ROLE_ARCHIVE]}


def _address(role_id: UUID) -> str:
    return reverse("organization:role", args=[role_id])
