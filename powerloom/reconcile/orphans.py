"""Things on CMA that carry our mark and that no row knows. They are kept for people to see; nothing is done to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from powerloom.reconcile.account import Account
from powerloom.reconcile.models import Orphan, SyncState
from powerloom.reconcile.stamps import Stamp


@dataclass(frozen=True)
class Stray:
    """Something marked as ours whose id on CMA no row had when the pass began."""

    remote_id: str
    stamp: Stamp


def keep_orphans(kind: str, strays: Sequence[Stray], account: Account, now: datetime) -> int:
    """Make the orphans of a kind those of a complete pass. Returns how many there are.

    What was made during the pass has a row by now, and what an engine is about to adopt will have one: neither counts.
    """
    owners = _owners(kind, strays)
    taken = set(
        SyncState.objects.filter(kind=kind, remote_id__in=[stray.remote_id for stray in strays]).values_list(
            "remote_id", flat=True
        )
    )
    found = [
        Orphan(
            account=account.name,
            organization_id=organization_id,
            kind=kind,
            object_id=stray.stamp.object_id,
            remote_id=stray.remote_id,
            found_at=now,
        )
        for stray in strays
        if stray.remote_id not in taken and (organization_id := _owner(stray, owners)) is not None
    ]
    with transaction.atomic(durable=True):
        known = Orphan.objects.filter(account=account.name, kind=kind)
        known.exclude(remote_id__in=[orphan.remote_id for orphan in found]).delete()
        Orphan.objects.bulk_create(found, ignore_conflicts=True)
    return len(found)


def orphans_of(organization_id: UUID) -> list[Orphan]:
    """Return an organization's orphans, newest first."""
    return list(Orphan.objects.filter(organization_id=organization_id).order_by("-found_at"))


def _owners(kind: str, strays: Sequence[Stray]) -> dict[UUID, SyncState]:
    rows = SyncState.objects.filter(kind=kind, object_id__in=[stray.stamp.object_id for stray in strays])
    return {row.object_id: row for row in rows.only("object_id", "organization_id", "remote_id", "attempted_at")}


def _owner(stray: Stray, owners: dict[UUID, SyncState]) -> UUID | None:
    row = owners.get(stray.stamp.object_id)
    if row is None:
        return stray.stamp.organization_id
    is_about_to_be_adopted = not row.remote_id and row.attempted_at is not None
    return None if is_about_to_be_adopted else row.organization_id
