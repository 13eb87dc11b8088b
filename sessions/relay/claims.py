"""Which sessions a relay follows: claimed by compare-and-set, one UPDATE for many.

A session has work for a relay while it is pending or running, and while CMA has still to be told of its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q

from sessions.ingest import Hold
from sessions.models import ACTIVE, AgentSession, SessionInput
from sessions.relay.membership import unattended

BATCH = 200

HAS_WORK = Q(status__in=ACTIVE) | ~Q(owed="")


def claim_some(relay_id: UUID) -> int:
    """Take up to `BATCH` sessions that nobody follows; return how many."""
    free = AgentSession.objects.filter(HAS_WORK).filter(unattended()).order_by("pk").values_list("pk", flat=True)
    wanted = list(free[:BATCH])
    if not wanted:
        return 0
    # Asked again in the UPDATE itself: whoever was first has it.
    rows = AgentSession.objects.filter(HAS_WORK, pk__in=wanted).filter(unattended())
    return rows.update(relay_id=relay_id, relay_epoch=F("relay_epoch") + 1)


@dataclass(frozen=True)
class Work:
    """A session to follow. `is_news`: something waits that its follower may not have heard of."""

    hold: Hold
    is_news: bool


def mine(relay_id: UUID) -> list[Work]:
    """Return the sessions with work that this relay follows."""
    waiting = SessionInput.objects.filter(session=OuterRef("pk"), sent_at__isnull=True, refused="")
    rows = AgentSession.objects.filter(HAS_WORK, relay_id=relay_id).annotate(waits=Exists(waiting))
    found = rows.values_list("pk", "relay_epoch", "owed", "waits")
    return [Work(Hold(session_id, relay_id, epoch), bool(owed) or waits) for session_id, epoch, owed, waits in found]
