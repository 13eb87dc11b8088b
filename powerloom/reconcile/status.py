"""The one word for where a row stands, the same in console, API and CLI; `of` for a loaded row, `where` for a list,
in one order:

parked    somebody must act; `last_error` says what
waiting   a dependency is not there yet; `waits_for` names it
syncing   leased by a worker now
drifted   the runtime was changed by another hand; it is being put right
synced    the runtime has what is wanted
pending   due; the engine has not been there yet, or tries again
"""

from __future__ import annotations

from enum import StrEnum

from django.db.models import F, Q
from django.utils import timezone

from powerloom.reconcile.models import SyncState


class SyncStatus(StrEnum):
    """Where a row stands, in the order in which the question is asked."""

    PARKED = "parked"
    WAITING = "waiting"
    SYNCING = "syncing"
    DRIFTED = "drifted"
    SYNCED = "synced"
    PENDING = "pending"


def of(state: SyncState | None) -> SyncStatus:
    """Return where the row stands; one that the reconciler does not know yet is pending."""
    if state is None:
        return SyncStatus.PENDING
    if state.parked_at is not None:
        return SyncStatus.PARKED
    if state.waits_for:
        return SyncStatus.WAITING
    if state.lease_until is not None and state.lease_until > timezone.now():
        return SyncStatus.SYNCING
    if state.drift is not None:
        return SyncStatus.DRIFTED
    is_synced = state.desired_hash != "" and state.desired_hash == state.actual_hash
    return SyncStatus.SYNCED if is_synced else SyncStatus.PENDING


def where(status: SyncStatus) -> Q:
    """Return the filter of `SyncState` rows that stand there: its own test and none of those before it."""
    law = Q()
    for earlier, test in _tests().items():
        if earlier == status:
            return law & test
        law &= ~test
    return law


def _tests() -> dict[SyncStatus, Q]:
    return {
        SyncStatus.PARKED: Q(parked_at__isnull=False),
        SyncStatus.WAITING: ~Q(waits_for=""),
        SyncStatus.SYNCING: Q(lease_until__isnull=False, lease_until__gt=timezone.now()),
        SyncStatus.DRIFTED: Q(drift__isnull=False),
        SyncStatus.SYNCED: ~Q(desired_hash="") & Q(desired_hash=F("actual_hash")),
    }
