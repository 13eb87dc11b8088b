"""Sweeps over sessions: turns that no relay is there to end, and tickets that are of no use any more."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from sessions import bells, ingest
from sessions import course as steps
from sessions.models import ACTIVE, AgentSession, Owed, Status, StreamTicket
from sessions.relay.membership import unattended

BATCH = 200
RELAYS_HAVE = timedelta(seconds=15)  # to end a turn in time themselves
TICKETS_KEPT = timedelta(hours=1)  # so that a late client is told "expired", not "unknown"


def end_overdue_turns() -> int:
    """End turns whose time is long up while no relay follows them; CMA is told as soon as a relay is there again.

    Returns how many were ended.
    """
    overdue = AgentSession.objects.filter(
        unattended(), deadline_at__lt=timezone.now() - RELAYS_HAVE, status__in=ACTIVE, deleted_at__isnull=True
    )
    ended = 0
    for session_id, limit in list(overdue.values_list("pk", "max_duration")[:BATCH]):
        words = f"The turn took longer than {limit} seconds, and no relay was there to follow it."
        with transaction.atomic(durable=True):
            if not overdue.filter(pk=session_id).select_for_update().exists():
                continue
            end = steps.end(Status.TIMEOUT, reason=steps.EXPIRED, error=words, owed=Owed.INTERRUPT)
            ingest.write(session_id, [end])
            bells.ring_relays(session_id)
            bells.ring_readers(session_id)
            ended += 1
    return ended


def forget_tickets() -> int:
    """Delete tickets that have long been of no use. Returns how many."""
    count, _ = StreamTicket.objects.filter(expires_at__lt=timezone.now() - TICKETS_KEPT).delete()
    return count
