"""Webhooks of approvals, and their delivery log. A signing secret is shown once, when it is made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any  # JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Router, Schema

from approvals import queries
from approvals.commands.webhooks import (
    ArchiveWebhook,
    CreateWebhook,
    RotateWebhook,
    TestWebhook,
    UpdateWebhook,
    WebhookChanges,
    WebhookFields,
)
from approvals.models import Delivery, Webhook
from approvals.webhooks import minted, ping
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["approvals"])

LOG_PAGE = 50


class WebhookOut(Schema):
    """A webhook, without its signing secret."""

    id: UUID
    name: str
    url: str
    events: list[str]
    is_on: bool
    off_reason: str
    failures: int
    created_at: datetime


class WebhookMadeOut(WebhookOut):
    """A webhook with the signing secret that was just made; it is not shown again."""

    signing_secret: str | None


class TestOut(Schema):
    """What came of a test: the status of the answer, if there was one, and words."""

    status_code: int | None
    outcome: str


class WebhookTestedOut(WebhookOut):
    """A webhook, with what came of the test; a repeat of the request sends nothing and answers null."""

    test: TestOut | None


class DeliveryOut(Schema):
    """One delivery; `outcome` is what came of the last try."""

    id: UUID
    event: str
    approval_request_id: UUID
    attempts: int
    status_code: int | None
    outcome: str
    created_at: datetime
    sent_at: datetime | None
    due_at: datetime | None


@router.get("/webhooks", response=list[WebhookOut], summary="List webhooks")
def list_webhooks(request: HttpRequest) -> HttpResponseBase:
    return listing(request, queries.webhooks_visible_to(actor_of(request)), _rows)


@router.post("/webhooks", response={201: WebhookMadeOut}, summary="Tell an address what happens to requests")
def create_webhook(request: HttpRequest, body: WebhookFields) -> HttpResponse:
    secret, sealed_id = _minted(request)
    command = CreateWebhook(id=new_id(), sealed_id=sealed_id, **body.model_dump())
    once = {"signing_secret": secret}
    return perform(request, command, render=_rendered, find=queries.webhook_for_read, created=True, once=once)


@router.get("/webhooks/{uuid:webhook_id}", response=WebhookOut, summary="Get a webhook")
def get_webhook(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    return JsonResponse(_row(queries.webhook_for_read(actor_of(request), webhook_id)))


@router.patch("/webhooks/{uuid:webhook_id}", response=WebhookOut, summary="Change a webhook")
def update_webhook(request: HttpRequest, webhook_id: UUID, body: WebhookChanges) -> HttpResponse:
    command = UpdateWebhook(webhook_id=webhook_id, changes=body)
    return perform(request, command, render=_rendered, find=queries.webhook_for_read)


@router.post("/webhooks/{uuid:webhook_id}/rotate", response=WebhookMadeOut, summary="Make another signing secret")
def rotate_webhook(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    queries.webhook_for_read(actor_of(request), webhook_id)
    secret, sealed_id = _minted(request)
    command = RotateWebhook(webhook_id=webhook_id, sealed_id=sealed_id)
    once = {"signing_secret": secret}
    return perform(request, command, render=_rendered, find=queries.webhook_for_read, once=once)


@router.post("/webhooks/{uuid:webhook_id}/test", response=WebhookTestedOut, summary="Send a webhook a test now")
def test_webhook(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    command = TestWebhook(webhook_id=webhook_id)
    return perform(request, command, render=_rendered, find=queries.webhook_for_read, once={"test": _tested})


@router.delete("/webhooks/{uuid:webhook_id}", response={204: None}, summary="End a webhook")
def archive_webhook(request: HttpRequest, webhook_id: UUID) -> HttpResponse:
    return perform(request, ArchiveWebhook(webhook_id=webhook_id), render=None)


@router.get("/webhooks/{uuid:webhook_id}/deliveries", response=list[DeliveryOut], summary="List what was sent")
def list_deliveries(request: HttpRequest, webhook_id: UUID) -> HttpResponseBase:
    hook = queries.webhook_for_read(actor_of(request), webhook_id)
    return listing(request, queries.deliveries_of(hook), _deliveries, default_limit=LOG_PAGE)


def _tested(hook: Webhook) -> dict[str, Any]:
    status, outcome = ping(hook)
    return {"status_code": status, "outcome": outcome}


def _minted(request: HttpRequest) -> tuple[str, UUID]:
    organization_id = actor_of(request).organization_id
    assert organization_id is not None, "whoever signs in belongs to an organization"
    return minted(organization_id)


def _rendered(hook: Webhook, actor: Actor) -> dict[str, Any]:
    return _row(hook)


def _rows(hooks: Sequence[Webhook]) -> list[dict[str, Any]]:
    return [_row(hook) for hook in hooks]


def _row(hook: Webhook) -> dict[str, Any]:
    return {
        "id": str(hook.id),
        "name": hook.name,
        "url": hook.url,
        "events": hook.events,
        "is_on": hook.is_on,
        "off_reason": hook.off_reason,
        "failures": hook.failures,
        "created_at": hook.created_at.isoformat(),
    }


def _deliveries(found: Sequence[Delivery]) -> list[dict[str, Any]]:
    return [
        {
            "id": str(one.id),
            "event": one.notice.event,
            "approval_request_id": str(one.notice.request_id),
            "attempts": one.attempts,
            "status_code": one.status_code,
            "outcome": one.outcome,
            "created_at": one.notice.created_at.isoformat(),
            "sent_at": one.sent_at.isoformat() if one.sent_at else None,
            "due_at": one.due_at.isoformat() if one.due_at else None,
        }
        for one in found
    ]
