"""Whom an event concerns: people who could decide hear of a request, who asked hears what became of it.

Mails and deliveries are written in one transaction with the mark that the event was spread, so a worker that dies
spreads it again and nobody is told twice.
"""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import User
from approvals import eligibility
from approvals.models import ApprovalRequest, Delivery, Demand, Mail, Notice, Webhook
from powerloom.kernel.ids import new_id

ASKED = "asked"
EVENTS = (ASKED, "approved", "applied", "rejected", "cancelled", "expired", "failed")
MOST_TOLD = 50  # people, of one event
BATCH = 50


def spread() -> int:
    """Write who is to be told of every event that is due. Returns how many events there were."""
    due = Notice.objects.filter(due_at__lte=timezone.now()).order_by("due_at").values_list("pk", flat=True)
    return sum(_spread(pk) for pk in due[:BATCH])


def _spread(pk: UUID) -> bool:
    with transaction.atomic(durable=True):
        rows = Notice.objects.select_for_update(of=("self",), skip_locked=True).select_related("request__ou")
        notice = rows.filter(pk=pk, due_at__isnull=False).first()
        if notice is None:
            return False
        now = timezone.now()
        people = list(_people(notice)[:MOST_TOLD])
        Mail.objects.bulk_create(
            (Mail(id=new_id(), notice=notice, user=person, due_at=now) for person in people), ignore_conflicts=True
        )
        hooks = [hook for hook in _hooks(notice.request) if not hook.events or notice.event in hook.events]
        Delivery.objects.bulk_create(
            (Delivery(id=new_id(), notice=notice, webhook=hook, due_at=now) for hook in hooks), ignore_conflicts=True
        )
        Notice.objects.filter(pk=notice.pk).update(due_at=None)
    return True


def _people(notice: Notice) -> QuerySet[User]:
    request = notice.request
    if notice.event != ASKED:
        return User.objects.filter(pk=request.requester_id, is_active=True)
    demands = Demand.objects.filter(request=request).select_related("ou")
    return eligibility.anybody(demands, but=request.askers).order_by("email")


def _hooks(request: ApprovalRequest) -> QuerySet[Webhook]:
    return Webhook.objects.filter(
        organization_id=request.organization_id, is_on=True, off_reason="", archived_at__isnull=True
    )
