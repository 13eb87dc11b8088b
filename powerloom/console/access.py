"""Asking for a right: the form that a refusal leads to. What it asks is always held, and given for a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any  # cleaned form values

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from accounts import queries
from accounts.granters import actions_of
from accounts.law import shown
from approvals.commands.access import CreateAccessRequest, role_with
from powerloom.commands.bus import submit
from powerloom.commands.registry import Held
from powerloom.kernel.errors import Conflict, Denied, Invalid
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.forms import SchemaForm, choices_of
from powerloom.web.pages import go, page, signed_in

HOUR = 3600
TIMES = [(HOUR, "An hour"), (8 * HOUR, "Eight hours"), (24 * HOUR, "A day"), (7 * 24 * HOUR, "A week")]


class AskForm(SchemaForm[CreateAccessRequest]):
    """For how long, and why."""

    schema = CreateAccessRequest

    role_id = forms.ChoiceField(label="Role", help_text="The smallest that has the action stands first.")
    expires_in_seconds = forms.TypedChoiceField(label="For", choices=TIMES, coerce=int, initial=24 * HOUR)
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3, "autofocus": True}),
        max_length=2000,
        help_text="Whoever decides reads it; it stays in the audit trail.",
    )

    def __init__(self, *args: Any, roles: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices_of(self, "role_id").choices = roles


@signed_in
@require_http_methods(["GET", "POST"])
def ask_access(request: HttpRequest) -> HttpResponse:
    """Ask for the right that a refusal named."""
    actor = actor_of(request)
    action, path = request.GET.get("action", ""), request.GET.get("ou", "")
    smallest, ou = role_with(actor, action), queries.ou_at(actor, path)
    fitting = [role for role in queries.roles_visible_to(actor) if action in actions_of(role)]
    fitting.sort(key=lambda role: (role.pk != smallest.pk, len(actions_of(role)), role.name))
    roles = [(str(role.pk), f"{role.name} ({len(actions_of(role))} actions)") for role in fitting]
    context = {"action": action, "ou_path": shown(ou.path), "address": request.get_full_path()}
    if request.method == "GET":
        return page(
            request, "console/ask_access.html", "console/_ask_access.html", form=AskForm(roles=roles), **context
        )
    form = AskForm(request.POST, roles=roles, given={"id": new_id(), "ou_id": ou.id})
    if form.is_valid():
        try:
            outcome = submit(form.value, actor=replace(actor, justification=form.value.reason))
        except (Invalid, Conflict, Denied) as error:
            form.refuse(error)
        else:
            assert isinstance(outcome, Held), "asking for a right is always held"
            asked = reverse("approvals:detail", args=[outcome.request["id"]])
            return go(request, asked, saying="Asked. Whoever may give it sees it in the inbox.")
    answer = page(request, "console/ask_access.html", "console/_ask_access.html", form=form, **context)
    answer.status_code = 422
    return answer
