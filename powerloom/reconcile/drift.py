"""What a sweep believes, what it finds, and how a finding is written: only onto a row that is still as it was believed
to be.

equal after all       new version and time are noted, nothing else (somebody touched what is not ours); but what holds a
                      secret is due, because who touched it may have changed what cannot be read
different             the field diff is kept, and the row is due
gone                  the row is due without an id: it is made anew, and what names it is read again
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self  # columns have the types of their fields
from uuid import UUID

from django.db import transaction
from django.db.models import F

from powerloom.cma.types import JSON
from powerloom.reconcile.claims import is_free
from powerloom.reconcile.driver import Driver, Job
from powerloom.reconcile.intents import FRESH
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.prepare import job_of, load, needed
from powerloom.reconcile.push import GONE, judge
from powerloom.reconcile.record import reread
from powerloom.reconcile.result import SETTLED, Done, Odd, Remote, Turn, Vanished, columns

TOUCHED = [{"path": "secret", "desired": "as it was pushed", "actual": "unknown, touched by another hand"}]
NO_LONGER_THERE = [{"path": "", "desired": "there", "actual": "gone"}]


@dataclass(frozen=True)
class Belief:
    """What a row said before CMA was asked. `is_quiet`: nobody is about to change it."""

    pk: UUID
    object_id: UUID
    remote: Remote
    generation: int
    actual_hash: str
    is_quiet: bool

    @classmethod
    def of(cls, row: dict[str, Any], now: datetime) -> Self:
        is_leased = row["lease_until"] is not None and row["lease_until"] > now
        return cls(
            pk=row["pk"],
            object_id=row["object_id"],
            remote=Remote(row["remote_id"], row["remote_version"], row["remote_updated_at"]),
            generation=row["generation"],
            actual_hash=row["actual_hash"],
            is_quiet=not row["is_due"] and not is_leased,
        )


def beliefs(kind: str, organizations: Iterable[UUID], now: datetime) -> dict[str, Belief]:
    """Return what we believe CMA has of this kind, by CMA's id; one query."""
    rows = SyncState.objects.filter(kind=kind, organization_id__in=list(organizations))
    return _believed(rows.exclude(remote_id=""), now)


def beliefs_of(kind: str, object_ids: Iterable[UUID], now: datetime) -> dict[str, Belief]:
    """As `beliefs`, for these objects."""
    rows = SyncState.objects.filter(kind=kind, object_id__in=list(object_ids))
    return _believed(rows.exclude(remote_id=""), now)


def compare(driver: Driver, found: Sequence[tuple[Belief, JSON]], now: datetime) -> int:
    """Judge answers that moved and write what they show. Returns how many drifted."""
    jobs = jobs_of([belief for belief, _ in found])
    judged = [(belief, judge(driver, jobs[belief.pk], answer)) for belief, answer in found if belief.pk in jobs]
    with transaction.atomic(durable=True):
        return sum(_note(driver, belief, result, now) for belief, result in judged)


def vanish(driver: Driver, gone: Sequence[Belief], now: datetime) -> int:
    """Write that CMA no longer has these. Returns how many rows still believed it."""
    written = []
    with transaction.atomic(durable=True):
        for belief in gone:
            changes = columns(Turn(SyncState(), had_attempt=False, now=now), Vanished())
            if _write(belief, {**changes, "drift": NO_LONGER_THERE, "generation": F("generation") + 1}, now):
                written.append(belief.object_id)
        if written:
            reread(driver.dependents(written), now)
    return len(written)


def jobs_of(believed: Sequence[Belief]) -> dict[UUID, Job]:
    """Return the jobs of these rows, by row; those that should not be on CMA, or cannot be judged, are left out."""
    states = list(SyncState.objects.filter(pk__in=[belief.pk for belief in believed]))
    wanted = load(states)
    arrived = needed(wanted.values())
    jobs = (job_of(state, wanted[state.pk], arrived) for state in states)
    return {job.state.pk: job for job in jobs if job.desired_hash != GONE and not job.wanted.fault}


def _believed(rows: Any, now: datetime) -> dict[str, Belief]:
    names = ("pk", "object_id", "generation", "actual_hash", "is_due", "lease_until")
    found = rows.values(*names, "remote_id", "remote_version", "remote_updated_at")
    return {row["remote_id"]: Belief.of(row, now) for row in found.iterator()}


def _note(driver: Driver, belief: Belief, result: Done | Odd, now: datetime) -> bool:
    remote = result.remote
    assert remote is not None
    facts = {"remote_version": remote.version, "remote_updated_at": remote.updated_at}
    if isinstance(result, Done) and driver.holds_secrets:
        return _write(belief, {**facts, "actual_hash": "", "drift": TOUCHED, "due_at": now, **FRESH}, now)
    if isinstance(result, Done):
        same = {"actual_hash": result.desired_hash, "desired_hash": result.desired_hash, "actual": result.document}
        _write(belief, {**SETTLED, **facts, **same}, now)
        return False
    odd = {"actual_hash": result.actual_hash, "actual": result.document, "drift": result.differences, "due_at": now}
    return _write(belief, {**facts, **odd, **FRESH}, now)


def _write(belief: Belief, changes: dict[str, Any], now: datetime) -> bool:
    """Write onto the row if it still is what was believed: no new generation, no other answer, no lease."""
    unchanged = SyncState.objects.filter(
        is_free(now),
        pk=belief.pk,
        generation=belief.generation,
        remote_id=belief.remote.id,
        remote_version=belief.remote.version,
        actual_hash=belief.actual_hash,
        is_due=False,
    )
    return unchanged.update(**changes, updated_at=now) == 1
