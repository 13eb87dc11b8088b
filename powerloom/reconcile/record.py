"""Writing down what came of a batch: one transaction, in bulk, under the lease and the generation.

lease lost            nothing is written: whoever holds the row now finds out for himself
generation moved      what CMA has is written; what is wanted stays to be computed
as claimed            everything is written
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any  # columns have the types of their fields
from uuid import UUID

from django.db import transaction
from django.db.models import F

from powerloom.reconcile.claims import LANE_PAUSE
from powerloom.reconcile.driver import Job
from powerloom.reconcile.intents import FRESH
from powerloom.reconcile.models import Lane, SyncState
from powerloom.reconcile.registry import drivers
from powerloom.reconcile.result import Done, Odd, Paused, Result, Turn, Vanished, Waits, columns

FACTS = ("remote_id", "remote_version", "remote_updated_at", "actual", "actual_hash", "synced_at", "attempted_at")
WRITTEN = (
    *FACTS,
    "desired_hash",
    "urgency",
    "due_at",
    "attempts",
    "lease_owner",
    "lease_until",
    "parked_at",
    "condition",
    "last_error",
    "waits_for",
    "waits_on",
    "drift",
    "updated_at",
)


def record(results: Sequence[tuple[Job, Result]], *, owner: str, now: datetime) -> None:
    """Record the results of the rows that `owner` still holds."""
    if not results:
        return
    with transaction.atomic(durable=True):
        rows = _held([job.state.pk for job, _ in results], owner)
        kept = [(job, result, rows[job.state.pk]) for job, result in results if job.state.pk in rows]
        for job, result, row in kept:
            _write(row, job, result, now)
        _save(list(rows.values()))
        _tell_drivers([(job, result) for job, result, _ in kept])
        _wake([row.object_id for job, result, row in kept if _has_arrived(job, result)], now)
        _wake(_came_meanwhile([row for _, result, row in kept if isinstance(result, Waits)]), now)
        _replace([(job, row) for job, result, row in kept if _is_replaced(job, result)], now)
        _lanes([(job, result) for job, result, _ in kept], now)


def _held(ids: Sequence[UUID], owner: str) -> dict[UUID, SyncState]:
    rows = SyncState.objects.select_for_update().filter(pk__in=ids, lease_owner=owner).order_by("pk")
    return {row.pk: row for row in rows}


def _write(row: SyncState, job: Job, result: Result, now: datetime) -> None:
    written = columns(Turn(job.state, job.attempted_at is not None, now), result)
    if row.generation != job.state.generation:
        written = {name: value for name, value in written.items() if name in FACTS}
    for name, value in {**written, "lease_owner": "", "lease_until": None, "updated_at": now}.items():
        setattr(row, name, value)


def _save(rows: list[SyncState]) -> None:
    # An upsert of rows that are there and locked: much faster than an UPDATE with a CASE for each column of each row.
    SyncState.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=WRITTEN)


def _tell_drivers(results: Sequence[tuple[Job, Result]]) -> None:
    by_kind: dict[str, list[tuple[Job, Done | Odd]]] = defaultdict(list)
    for job, result in results:
        if isinstance(result, Done | Odd):
            by_kind[job.state.kind].append((job, result))
    for kind, records in by_kind.items():
        drivers()[kind].recorded(records)


def _has_arrived(job: Job, result: Result) -> bool:
    return isinstance(result, Done) and result.remote is not None


def _came_meanwhile(waiting: Sequence[SyncState]) -> list[UUID]:
    """Return what arrived between the look that found it missing and this record."""
    ids = {row.waits_on for row in waiting if row.waits_on}
    there = SyncState.objects.filter(object_id__in=ids, synced_at__isnull=False).exclude(remote_id="")
    return list(there.values_list("object_id", flat=True)) if ids else []


def _wake(ids: Sequence[UUID], now: datetime) -> None:
    """Make due whatever waited for these."""
    if ids:
        SyncState.objects.filter(waits_on__in=ids).update(due_at=now, **FRESH)


def _is_replaced(job: Job, result: Result) -> bool:
    """Tell whether the object has, or will get, another id on CMA than its dependents were pushed with."""
    return isinstance(result, Vanished)


def _replace(rows: Sequence[tuple[Job, SyncState]], now: datetime) -> None:
    by_kind: dict[str, list[UUID]] = defaultdict(list)
    for job, _ in rows:
        by_kind[job.state.kind].append(job.state.object_id)
    for kind, ids in by_kind.items():
        reread(drivers()[kind].dependents(ids), now)


def reread(dependents: dict[str, list[UUID]], now: datetime) -> None:
    """Have these read again and compared: CMA's id of something they name is another now, though our document is
    the same.
    """
    for kind, ids in dependents.items():
        SyncState.objects.filter(kind=kind, object_id__in=ids).exclude(remote_id="").update(
            actual_hash="", desired_hash="", generation=F("generation") + 1, due_at=now, updated_at=now, **FRESH
        )


def _lanes(results: Sequence[tuple[Job, Result]], now: datetime) -> None:
    paused: dict[UUID, str] = {}
    served: set[UUID] = set()
    for job, result in results:
        if isinstance(result, Paused):
            paused[job.state.organization_id] = result.sentence
        elif _has_arrived(job, result):
            served.add(job.state.organization_id)
    if paused:
        _pause(paused, now)
    if served - paused.keys():
        Lane.objects.filter(organization_id__in=served - paused.keys()).delete()


def _pause(paused: dict[UUID, str], now: datetime) -> None:
    changes: dict[str, Any] = {"paused_until": now + LANE_PAUSE}
    known = set(Lane.objects.filter(organization_id__in=paused).values_list("organization_id", flat=True))
    for organization_id in known:
        Lane.objects.filter(pk=organization_id).update(sentence=paused[organization_id], **changes)
    fresh = [
        Lane(organization_id=id_, sentence=sentence, since=now, **changes)
        for id_, sentence in paused.items()
        if id_ not in known
    ]
    Lane.objects.bulk_create(fresh, ignore_conflicts=True)
