"""Where things stand, in words: for the console, `sync-status` and whoever asks why something is not live.

One query for any number of objects, whatever their kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any  # a field diff is JSON
from uuid import UUID

from django.db.models import OuterRef, Subquery
from django.utils import timezone

from powerloom.reconcile import status
from powerloom.reconcile.models import Lane, SyncState
from powerloom.reconcile.orphans import orphans_of
from powerloom.reconcile.status import SyncStatus

__all__ = ["SyncReport", "orphans_of", "report", "status_of"]


@dataclass(frozen=True)
class SyncReport:
    """Everything there is to say about one object's convergence.

    `word` is the state, `sentence` says what that means here and what to do, `age_seconds` for how long it has been so.
    `differences` is the field diff of a drift, or of what CMA showed differently.
    """

    word: SyncStatus
    sentence: str
    since: datetime
    age_seconds: float
    attempts: int
    next_try_at: datetime | None
    last_error: str
    waits_for: str
    differences: list[dict[str, Any]]
    remote_id: str
    remote_version: str
    desired_hash: str
    actual_hash: str
    synced_at: datetime | None

    @property
    def title(self) -> str:
        """The word as people read it: `Synced`, `Parked`."""
        return self.word.capitalize()


def status_of(kind: str, ids: Iterable[UUID], *, now: datetime | None = None) -> dict[UUID, SyncReport]:
    """Return the report of each object that the reconciler knows, by object id; one query."""
    lane = Lane.objects.filter(organization_id=OuterRef("organization_id"))
    rows = SyncState.objects.filter(kind=kind, object_id__in=list(ids)).defer("actual")
    rows = rows.annotate(
        lane_sentence=Subquery(lane.values("sentence")[:1]), lane_until=Subquery(lane.values("paused_until")[:1])
    )
    now = now or timezone.now()
    return {row.object_id: report(row, row.lane_sentence or "", row.lane_until, now) for row in rows}


def report(row: SyncState, lane: str, lane_until: datetime | None, now: datetime) -> SyncReport:
    """Return the report of one row, given what its organization's lane says. Pure."""
    word = status.of(row)
    if lane and word == SyncStatus.PENDING:
        word = SyncStatus.WAITING
    since = _since(row, word)
    return SyncReport(
        word=word,
        sentence=_sentence(row, word, lane),
        since=since,
        age_seconds=max(0.0, (now - since).total_seconds()),
        attempts=row.attempts,
        next_try_at=_next_try(row, word, lane_until),
        last_error=lane or row.last_error,
        waits_for=row.waits_for or ("the CMA account" if lane and word == SyncStatus.WAITING else ""),
        differences=row.drift or [],
        remote_id=row.remote_id,
        remote_version=row.remote_version,
        desired_hash=row.desired_hash,
        actual_hash=row.actual_hash,
        synced_at=row.synced_at,
    )


def _since(row: SyncState, word: SyncStatus) -> datetime:
    known = {SyncStatus.PARKED: row.parked_at, SyncStatus.SYNCED: row.synced_at}
    return known.get(word) or row.updated_at


def _next_try(row: SyncState, word: SyncStatus, lane_until: datetime | None) -> datetime | None:
    if word in {SyncStatus.SYNCED, SyncStatus.PARKED}:
        return None
    return max(row.due_at, lane_until) if lane_until else row.due_at


def _sentence(row: SyncState, word: SyncStatus, lane: str) -> str:
    error = row.last_error.rstrip(". ")
    match word:
        case SyncStatus.SYNCED:
            return "CMA has what is wanted."
        case SyncStatus.SYNCING:
            return "A worker is at it now."
        case SyncStatus.WAITING:
            return f"Waiting for the CMA account: {lane}" if lane else f"Waiting for {row.waits_for}."
        case SyncStatus.DRIFTED:
            fields = ", ".join(difference["path"] or "the whole" for difference in (row.drift or [])[:5])
            return f"Another hand changed it on CMA ({fields}); it is being put right."
        case SyncStatus.PARKED:
            tries = "" if row.attempts < 2 else f" after {row.attempts} tries"
            return f"Parked{tries}: {error}. It is not tried again before it changes or is reset."
    return f"{error}. It is tried again by itself." if error else "It will be pushed with the next tick."
