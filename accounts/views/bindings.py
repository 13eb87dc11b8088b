"""Bindings: the list, one binding, and making and ending one."""

from __future__ import annotations

from typing import Any  # template context
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import lists, queries
from accounts.actions import Action
from accounts.commands.bindings import DeleteBinding
from accounts.organization_forms import BindingForm
from accounts.reasons import reason_anywhere, reasons_against
from accounts.views.room import tabs
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.filters import Filters
from powerloom.web.lines import applying, place_of
from powerloom.web.lists import page_of
from powerloom.web.pages import go, page, signed_in
from powerloom.web.submitting import form_page, performed, posted

ROWS = 50


@signed_in
@require_GET
def binding_list(request: HttpRequest) -> HttpResponse:
    """The live bindings that one may read, newest first."""
    actor = actor_of(request)
    chosen = Filters(request, q="Whom", role="Role", decision="Decision", ou="OU")
    rows = lists.bindings_matching(
        actor, text=chosen["q"], under=chosen["ou"], role=chosen["role"], decision=chosen["decision"]
    )
    names = queries.roles_visible_to(actor).order_by("name").prefetch_related(None).values_list("name", flat=True)
    return page(
        request,
        "accounts/bindings.html",
        "accounts/_bindings.html",
        page=page_of(request, rows, size=ROWS),
        roles=list(names),
        chosen=chosen,
        chips=chosen.chips(decision=str.capitalize),
        kept=chosen.kept(by_form=frozenset({"q", "role", "decision"})),
        bare=request.path,
        line=applying(
            "RoleBinding", {"principal_ref": actor.ref, "role": "AgentViewer", "scope_ou_path": place_of(request)}
        ),
        refusals={"create": reason_anywhere(actor, Action.ROLE_BINDING_CREATE)},
        **tabs("bindings"),
    )


@signed_in
@require_GET
def binding_detail(request: HttpRequest, binding_id: UUID) -> HttpResponse:
    """One binding: a role for somebody somewhere, to allow or to deny."""
    actor = actor_of(request)
    binding = queries.binding_for(actor, binding_id)
    against = reasons_against(actor, binding.target(), [Action.ROLE_BINDING_DELETE])
    return page(
        request,
        "accounts/binding.html",
        "accounts/_binding.html",
        binding=binding,
        refusals={"end": against[Action.ROLE_BINDING_DELETE]},
        **tabs("bindings"),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def binding_new(request: HttpRequest) -> HttpResponse:
    """Bind a role to somebody at an OU."""
    initial: dict[str, Any] = {"principal_id": request.GET.get("who", ""), "role_id": request.GET.get("role", "")}
    initial |= {"scope_ou_id": request.GET.get("ou", ""), "decision_type": "allow"}
    form = BindingForm(posted(request), actor=actor_of(request), given={"id": new_id()}, initial=initial)
    return form_page(
        request,
        form,
        title="New binding",
        word="Bind the role",
        back=reverse("organization:bindings"),
        note="A deny anywhere on the path wins; else an allow anywhere on the path; else no.",
        then=lambda row: go(request, reverse("organization:binding", args=[row.id]), saying="Bound."),
    )


@signed_in
@require_POST
def binding_end(request: HttpRequest, binding_id: UUID) -> HttpResponse:
    """End a binding."""
    return performed(
        request,
        DeleteBinding(binding_id=binding_id),
        then=lambda _: go(request, reverse("organization:bindings"), saying="Ended. It counts no more."),
    )
