"""Who a relay is: a row with a heartbeat, and an epoch that grows with every start.

A relay is dead when its heart has not beaten for `SILENCE`, or claims to have beaten in the future (a clock was set
back). In embedded mode one process owns the data folder by a lock, so whoever holds the lock knows that all others
are dead at once.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from powerloom.kernel.ids import new_id
from sessions.models import AgentSession, Relay

BEAT_SECONDS = 2.0
SILENCE = timedelta(seconds=10)
KEPT = timedelta(hours=1)
LOCK_POLL_SECONDS = 0.2
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


def enlist(*, alone: bool) -> UUID:
    """Enter a new relay and return its id; `alone` declares every other one dead."""
    now = timezone.now()
    with transaction.atomic(durable=True):
        newest = Relay.objects.aggregate(epoch=Max("epoch"))["epoch"] or 0
        relay_id = new_id()
        others = Relay.objects.all() if alone else Relay.objects.filter(beat_at__lt=now - KEPT)
        others.delete()
        Relay.objects.create(id=relay_id, epoch=newest + 1, started_at=now, beat_at=now)
    return relay_id


def beat(relay_id: UUID) -> bool:
    """Show that this relay lives. False when its row is gone: others have declared it dead."""
    return Relay.objects.filter(pk=relay_id).update(beat_at=timezone.now()) == 1


def leave(relay_id: UUID) -> None:
    """Give every session back at once."""
    AgentSession.objects.filter(relay_id=relay_id).update(relay_id=None)
    # The row stays for its epoch, without a heartbeat.
    Relay.objects.filter(pk=relay_id).update(beat_at=LONG_AGO)


def living() -> QuerySet[Relay, UUID]:
    """Return the ids of the relays whose heart beats."""
    now = timezone.now()
    return Relay.objects.filter(beat_at__gte=now - SILENCE, beat_at__lte=now + SILENCE).values_list("pk", flat=True)


def unattended() -> Q:
    """Return the filter to sessions that no living relay follows."""
    return Q(relay_id__isnull=True) | ~Q(relay_id__in=living())


@asynccontextmanager
async def sole_owner(folder: Path) -> AsyncIterator[None]:
    """Hold the lock on the data folder for the length of the block; wait for it while another process has it."""
    descriptor = os.open(folder / "relay.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        while not _locked(descriptor):  # noqa: ASYNC110  the kernel tells nobody that a lock is free
            await asyncio.sleep(LOCK_POLL_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
