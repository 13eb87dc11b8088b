"""Scheduled work of approvals. Safe to lose and to run twice."""

from __future__ import annotations

from celery import shared_task

from approvals import expiry, mails, telling, webhooks
from approvals import replay as replaying
from approvals.bells import REPLAY

SCHEDULE = {
    "approvals-replay": (REPLAY, 2.0),
    "approvals-expire": ("approvals.tasks.expire", 30.0),
    "approvals-tell": ("approvals.tasks.tell", 5.0),
}


@shared_task(name=REPLAY, ignore_result=True)
def replay() -> None:
    """What was approved is applied as its requester; what was turned down is told so."""
    replaying.run()


@shared_task(ignore_result=True)
def expire() -> None:
    """Requests whose time is over end."""
    expiry.sweep()


@shared_task(ignore_result=True)
def tell() -> None:
    """Whom an event concerns is told: by mail, and by webhook."""
    telling.spread()
    mails.send()
    webhooks.send()
