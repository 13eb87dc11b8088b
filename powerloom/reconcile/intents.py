"""What a write means for the runtime: rows made stale in its own transaction, and, for a dry run, the list of them.

A committed change also rings the reconciler's bell; callers need not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any  # a call is JSON for people
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from powerloom.kernel.errors import NotFound
from powerloom.reconcile import bells
from powerloom.reconcile.models import SyncState, Urgency

_collected: ContextVar[list[dict[str, Any]] | None] = ContextVar("collected", default=None)

# A change of what is wanted ends a parking, a wait and their attempts, because their reason may be gone.
FRESH: dict[str, Any] = {
    "attempts": 0,
    "parked_at": None,
    "condition": "",
    "last_error": "",
    "waits_for": "",
    "waits_on": None,
}


@contextmanager
def collect() -> Iterator[list[dict[str, Any]]]:
    """Collect, for the length of the block, which objects were made stale: the calls a change would cause."""
    token = _collected.set([])
    try:
        calls = _collected.get()
        assert calls is not None
        yield calls
    finally:
        _collected.reset(token)


def declare(kind: str, ids: Sequence[UUID], *, organization_id: UUID, urgent: bool = False) -> None:
    """Make the objects known to the reconciler as stale; rows that exist are only marked."""
    now = timezone.now()
    rows = [SyncState(kind=kind, object_id=id_, organization_id=organization_id, due_at=now) for id_ in ids]
    SyncState.objects.bulk_create(rows, ignore_conflicts=True)
    mark_stale(kind, ids, urgent=urgent)


def mark_stale(kind: str, ids: Iterable[UUID], *, urgent: bool = False) -> int:
    """Mark objects as due with one UPDATE: their desired hash is computed when the engine claims them.

    `urgent` is for what takes something away (archive, detach, revoke): it goes before everybody's additions.
    Returns the number of rows.
    """
    ids = list(ids)
    collected = _collected.get()
    if collected is not None:
        collected.extend({"kind": kind, "id": str(id_)} for id_ in ids)
    now = timezone.now()
    changed: dict[str, Any] = {"desired_hash": "", "generation": F("generation") + 1, "due_at": now, "updated_at": now}
    if urgent:
        changed["urgency"] = Urgency.REVOKE
    bells.ring()
    return SyncState.objects.filter(kind=kind, object_id__in=ids).update(**changed, **FRESH)


def reset(kind: str, object_id: UUID) -> None:
    """Try a parked object again from the start: what CMA has is read before anything is sent.

    Raises `NotFound` when the reconciler does not know the object.
    """
    if not mark_stale(kind, [object_id]):
        raise NotFound
    SyncState.objects.filter(kind=kind, object_id=object_id).update(actual_hash="")
