"""Webhooks: made, changed, given another signing secret, ended. The edge seals the secret before a command names it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal  # Any: audit payloads are JSON
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone
from pydantic import AfterValidator, Field, model_serializer

from accounts import sealing
from accounts.names import Name
from accounts.queries import root_of
from approvals import queries
from approvals.actions import Action
from approvals.commands.policies import Part
from approvals.models import Webhook
from approvals.webhooks import SEALED
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import NameTaken
from powerloom.kernel.refs import Actor, Target
from powerloom.web.egress import fault_of_url


def _address(url: str) -> str:
    if fault := fault_of_url(url):
        raise ValueError(fault)
    return url


Url = Annotated[str, Field(max_length=2048), AfterValidator(_address)]
Event = Literal["asked", "approved", "applied", "rejected", "cancelled", "expired", "failed"]
Events = Annotated[list[Event], Field(max_length=7)]


class WebhookFields(Part):
    """What one says of a new webhook. Without events it is told of all."""

    name: Name
    url: Url
    events: Events = []
    is_on: bool = True


class CreateWebhook(WebhookFields, Command):
    """Tell an address what happens to approval requests of the organization."""

    action: ClassVar[str] = Action.WEBHOOK_CREATE
    id: UUID
    sealed_id: UUID


class WebhookChanges(Part):
    """What is to change about a webhook; what is not named stays. Any change lets one that had failed begin anew."""

    url: Url = ""
    events: Events = []
    is_on: bool = True

    @model_serializer
    def _only_named(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


class UpdateWebhook(Command):
    """Change what is named of a webhook."""

    action: ClassVar[str] = Action.WEBHOOK_UPDATE
    webhook_id: UUID
    changes: WebhookChanges


class RotateWebhook(Command):
    """Give a webhook another signing secret; the earlier one is destroyed."""

    action: ClassVar[str] = Action.WEBHOOK_ROTATE
    webhook_id: UUID
    sealed_id: UUID


class ArchiveWebhook(Command):
    """End a webhook: its secret is destroyed, what is still to be sent is dropped."""

    action: ClassVar[str] = Action.WEBHOOK_ARCHIVE
    webhook_id: UUID


class TestWebhook(Command):
    """Have a webhook sent a message that says it is a test. The edge sends it once this is on record."""

    action: ClassVar[str] = Action.WEBHOOK_TEST
    webhook_id: UUID


def load_create(command: CreateWebhook, actor: Actor) -> Subject:
    root = root_of(actor)
    sealed = sealing.waiting(command.sealed_id, kind=SEALED, organization_id=actor.organization_id)
    return Subject((root, sealed), Target("webhook", command.id, command.name, root.organization_id, root.path))


@handles(CreateWebhook, load=load_create)
def create_webhook(command: CreateWebhook, *, subject: Subject, actor: Actor) -> Change:
    root, sealed = subject.row
    fields = command.model_dump(exclude={"id", "sealed_id"})
    hook = Webhook(id=command.id, organization_id=root.organization_id, sealed=sealing.take(sealed), **fields)
    taken = NameTaken(f"There is a webhook {hook.name} already.", field="name")
    if Webhook.objects.filter(organization_id=root.organization_id, name=hook.name, archived_at__isnull=True).exists():
        raise taken
    try:
        hook.save(force_insert=True)
    except IntegrityError as error:  # another transaction took the name since we looked
        raise taken from error
    return Change(hook, None, _described(hook))


def load_webhook(command: UpdateWebhook | ArchiveWebhook | TestWebhook, actor: Actor) -> Subject:
    hook = queries.webhook_for_change(actor, command.webhook_id)
    return Subject(hook, hook.target())


@handles(UpdateWebhook, load=load_webhook)
def update_webhook(command: UpdateWebhook, *, subject: Subject, actor: Actor) -> Change:
    hook: Webhook = subject.row
    before = _described(hook)
    for name, value in command.changes.model_dump().items():
        setattr(hook, name, value)
    hook.off_reason, hook.failures, hook.generation = "", 0, hook.generation + 1
    hook.save(update_fields=["url", "events", "is_on", "off_reason", "failures", "generation", "updated_at"])
    return Change(hook, before, _described(hook))


def load_rotate(command: RotateWebhook, actor: Actor) -> Subject:
    hook = queries.webhook_for_change(actor, command.webhook_id)
    sealed = sealing.waiting(command.sealed_id, kind=SEALED, organization_id=actor.organization_id)
    return Subject((hook, sealed), hook.target())


@handles(RotateWebhook, load=load_rotate)
def rotate_webhook(command: RotateWebhook, *, subject: Subject, actor: Actor) -> Change:
    hook, sealed = subject.row
    old, hook.sealed, hook.generation = hook.sealed, sealing.take(sealed), hook.generation + 1
    hook.save(update_fields=["sealed", "generation", "updated_at"])
    if old is not None:
        old.delete()
    return Change(hook, None, {"rotated": True})


@handles(ArchiveWebhook, load=load_webhook, holdable=False)
def archive_webhook(command: ArchiveWebhook, *, subject: Subject, actor: Actor) -> Change:
    hook: Webhook = subject.row
    old, hook.sealed, hook.archived_at = hook.sealed, None, timezone.now()
    hook.save(update_fields=["sealed", "archived_at", "updated_at"])
    if old is not None:
        old.delete()
    return Change(hook, _described(hook), None)


@handles(TestWebhook, load=load_webhook, holdable=False)
def test_webhook(command: TestWebhook, *, subject: Subject, actor: Actor) -> Change:
    hook: Webhook = subject.row
    return Change(hook, None, {"url": hook.url})


def _described(hook: Webhook) -> dict[str, Any]:
    return {"name": hook.name, "url": hook.url, "events": hook.events, "is_on": hook.is_on}
