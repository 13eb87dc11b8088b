"""Reads of the reconciler's rows for objects of this app. The caller holds the objects already."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from agents.kinds import SyncKind
from powerloom.reconcile.models import SyncState


def parked(kind: SyncKind, ids: Iterable[UUID]) -> list[UUID]:
    """Return those of the objects that the reconciler has given up on until somebody acts."""
    rows = SyncState.objects.filter(kind=kind, object_id__in=list(ids), parked_at__isnull=False)
    return list(rows.values_list("object_id", flat=True))
