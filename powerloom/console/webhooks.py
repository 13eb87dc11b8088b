"""Webhooks in the settings: the list, one with its delivery log, and making, changing, testing and ending one."""

from __future__ import annotations

from typing import Any  # cleaned form values, template context
from uuid import UUID

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from pydantic import BaseModel

from accounts.fields import ConfirmForm
from accounts.queries import root_of
from accounts.reasons import Reason, reasons_against
from accounts.views.own import tabs
from approvals import queries, webhooks
from approvals.actions import Action
from approvals.commands.webhooks import (
    ArchiveWebhook,
    CreateWebhook,
    Events,
    RotateWebhook,
    TestWebhook,
    UpdateWebhook,
    Url,
    WebhookChanges,
    WebhookFields,
)
from approvals.models import Delivery, Webhook
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target
from powerloom.web.answers import actor_of
from powerloom.web.forms import SchemaForm
from powerloom.web.lines import curl
from powerloom.web.lists import page_of
from powerloom.web.pages import go, page, said, shown_once, signed_in
from powerloom.web.submitting import form_page, performed, posted

ROWS = 50
EVENTS = ["asked", "approved", "applied", "rejected", "cancelled", "expired", "failed"]
ACTS = {
    "create": Action.WEBHOOK_CREATE,
    "edit": Action.WEBHOOK_UPDATE,
    "rotate": Action.WEBHOOK_ROTATE,
    "test": Action.WEBHOOK_TEST,
    "archive": Action.WEBHOOK_ARCHIVE,
}


class Fields(forms.Form):
    """What both forms of a webhook ask."""

    url = forms.CharField(label="Address", widget=forms.URLInput(attrs={"placeholder": "https://"}))
    events = forms.MultipleChoiceField(
        required=False,
        label="Told of",
        help_text="None chosen: all of them.",
        choices=[(event, event.capitalize()) for event in EVENTS],
        widget=forms.CheckboxSelectMultiple,
    )
    is_on = forms.BooleanField(required=False, label="On", initial=True)


class WebhookForm(SchemaForm[WebhookFields], Fields):
    """Make a webhook."""

    schema = WebhookFields

    name = forms.CharField(help_text="Lowercase letters, digits and hyphens.")
    field_order = ("name", "url", "events", "is_on")


class Changed(BaseModel):
    """All that a webhook's form says of it."""

    url: Url
    events: Events
    is_on: bool


class EditWebhookForm(SchemaForm[Changed], Fields):
    """Change a webhook."""

    schema = Changed

    def payload(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        return {name: cleaned[name] for name in ("url", "events", "is_on")}


@signed_in
@require_GET
def webhook_list(request: HttpRequest) -> HttpResponse:
    """The webhooks of the organization."""
    actor = actor_of(request)
    found = page_of(request, queries.webhooks_visible_to(actor), size=ROWS)
    return page(
        request,
        "console/webhooks.html",
        "console/_webhooks.html",
        page=found,
        rows=[(hook, _state(hook)) for hook in found.rows],
        refusals=_refusals(request),
        line=curl(request, "/webhooks", '{"name": "ops", "url": "https://…"}'),
        **tabs("console:webhooks"),
    )


@signed_in
@require_GET
def webhook_detail(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    """One webhook, and what was sent to it."""
    hook = queries.webhook_for_read(actor_of(request), webhook_id)
    found = page_of(request, queries.deliveries_of(hook), size=ROWS)
    return page(
        request,
        "console/webhook.html",
        "console/_webhook.html",
        hook=hook,
        state=_state(hook),
        page=found,
        rows=[(one, _came_of(one)) for one in found.rows],
        refusals=_refusals(request),
        **tabs("console:webhooks"),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def webhook_new(request: HttpRequest) -> HttpResponse:
    """Make a webhook, and show its signing secret this once."""
    form = WebhookForm(posted(request))
    secret, sealed = webhooks.minted(root_of(actor_of(request)).organization_id) if form.is_bound else ("", new_id())
    made = {"id": new_id(), "sealed_id": sealed}
    return form_page(
        request,
        form,
        title="New webhook",
        word="Create the webhook",
        back=reverse("console:webhooks"),
        note="It is told ids, a verb and a link, signed as Standard Webhooks says; never what was asked.",
        commands=lambda fields: [CreateWebhook(**made, **fields.model_dump())],
        then=lambda hook: _secret(request, hook, secret),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def webhook_edit(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    """Change where it goes and what it is told."""
    hook = queries.webhook_for_read(actor_of(request), webhook_id)
    initial = {"url": hook.url, "events": hook.events, "is_on": hook.is_on}
    return form_page(
        request,
        EditWebhookForm(posted(request), initial=initial),
        title=f"Edit {hook.name}",
        word="Save",
        back=_address(hook.id),
        note="Any change lets a webhook that was stopped begin anew.",
        commands=lambda form: [UpdateWebhook(webhook_id=hook.id, changes=WebhookChanges(**form.model_dump()))],
        then=lambda _: go(request, _address(hook.id), saying="Saved."),
    )


@signed_in
@require_POST
def webhook_rotate(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    """Make another signing secret, and show it this once; the earlier one is destroyed."""
    hook = queries.webhook_for_read(actor_of(request), webhook_id)
    secret, sealed = webhooks.minted(hook.organization_id)
    command = RotateWebhook(webhook_id=hook.id, sealed_id=sealed)
    return performed(request, command, then=lambda row: _secret(request, row, secret))


@signed_in
@require_POST
def webhook_test(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    """Send a webhook a test now, and say what came of it."""

    def told(hook: Webhook) -> HttpResponse:
        status, outcome = webhooks.ping(hook)
        word = "It took the test." if outcome == "taken" else f"Not taken: {outcome}."
        return said(request, f"{word} Status {status}." if status else word, tone="ok" if outcome == "taken" else "bad")

    return performed(request, TestWebhook(webhook_id=webhook_id), then=told)


@signed_in
@require_http_methods(["GET", "POST"])
def webhook_archive(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    """End a webhook."""
    hook = queries.webhook_for_read(actor_of(request), webhook_id)
    return form_page(
        request,
        ConfirmForm(posted(request), name=hook.name),
        title=f"End {hook.name}",
        word="End it for ever",
        style="danger",
        back=_address(hook.id),
        note="Its secret is destroyed, and what is still to be sent is dropped.",
        commands=lambda _: [ArchiveWebhook(webhook_id=hook.id)],
        then=lambda _: go(request, reverse("console:webhooks"), saying=f"Ended {hook.name}."),
    )


def _secret(request: HttpRequest, hook: Webhook, secret: str) -> HttpResponse:
    return shown_once(request, what=f"The signing secret of {hook.name}", value=secret, back=_address(hook.id))


def _refusals(request: HttpRequest) -> dict[str, Reason]:
    root = root_of(actor_of(request))
    target = Target("webhook", root.id, "", root.organization_id, root.path)
    against = reasons_against(actor_of(request), target, list(ACTS.values()))
    return {act: against[action] for act, action in ACTS.items()}


def _state(hook: Webhook) -> str:
    if hook.off_reason:
        return "stopped"
    return "on" if hook.is_on else "off"


def _came_of(one: Delivery) -> str:
    if one.outcome == "taken":
        return "taken"
    return "due" if one.due_at else "given_up"


def _address(webhook_id: UUID) -> str:
    return reverse("console:webhook", args=[webhook_id])
