"""Noticing that rights may have changed, at a constant cost while they have not.

A watch is a reader of an organization's access with a name and a row of its own. It is behind when the access epoch is
another than the one it has handled, or when a binding has expired since it looked; one query finds all who are behind.
What it does and how far it came are one transaction, so that whoever dies in between has done nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts import epoch
from accounts.models import AccessEpoch, Binding
from agents.models import AccessWatch


def follow(name: str, judge: Callable[[UUID], object]) -> int:
    """Call `judge` for every organization in which the watch is behind. Returns how many it has handled.

    `judge` runs in the transaction that records it, and must be safe to run again.
    """
    return sum(_handled(name, organization_id, judge) for organization_id in behind(name))


def behind(name: str) -> list[UUID]:
    """Return the organizations whose access may have changed since the watch looked; one query for any number."""
    expired = Binding.objects.filter(
        organization_id=OuterRef("organization_id"),
        ended_at__isnull=True,
        expires_at__gt=OuterRef("checked_at"),
        expires_at__lte=timezone.now(),
    )
    handled = AccessWatch.objects.filter(
        ~Exists(expired), name=name, organization_id=OuterRef("pk"), epoch=OuterRef("number")
    )
    return list(AccessEpoch.objects.filter(~Exists(handled)).values_list("pk", flat=True).order_by("pk"))


@transaction.atomic(durable=True)
def _handled(name: str, organization_id: UUID, judge: Callable[[UUID], object]) -> bool:
    row = _taken(name, organization_id)
    if row is None:
        return False
    # Both are read before anything is judged: what changes from here on is found at the next look.
    row.checked_at, row.epoch = timezone.now(), epoch.current(organization_id)
    judge(organization_id)
    row.save(update_fields=["checked_at", "epoch"])
    return True


def _taken(name: str, organization_id: UUID) -> AccessWatch | None:
    """Return the watch's row, locked, or None while another worker holds it."""
    fresh = AccessWatch(organization_id=organization_id, name=name, checked_at=timezone.now())
    AccessWatch.objects.bulk_create([fresh], ignore_conflicts=True)
    rows = AccessWatch.objects.select_for_update(skip_locked=True)
    return rows.filter(organization_id=organization_id, name=name).first()
