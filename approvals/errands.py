"""Sending what is due: claimed by compare-and-set, tried again with longer pauses, given up in words.

A worker that dies while it sends leaves a lease that ends; the receiver may then get the same twice, never nothing.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from django.db.models import Q
from django.utils import timezone

from approvals.models.notices import Errand

E = TypeVar("E", bound=Errand)

BATCH = 20
LEASE = timedelta(minutes=2)
MOST_ATTEMPTS = 8  # 10 s, 30 s, 90 s … about nine hours in all
FIRST_PAUSE, GROWTH = 10.0, 3.0


def claimed(kind: type[E]) -> list[E]:
    """Take up to `BATCH` errands that are due; each goes to one worker."""
    now = timezone.now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    due = kind._default_manager.filter(free, due_at__lte=now).order_by("due_at").values_list("pk", flat=True)
    taken = [
        pk
        for pk in due[:BATCH]
        if kind._default_manager.filter(free, pk=pk, due_at__lte=now).update(lease_until=now + LEASE)
    ]
    return list(kind._default_manager.filter(pk__in=taken))


def done(errand: Errand, outcome: str, **columns: object) -> None:
    """Write that it was sent."""
    _write(errand, {"outcome": outcome, "sent_at": timezone.now(), "due_at": None, **columns})


def dropped(errand: Errand, outcome: str) -> None:
    """Write that it will not be sent."""
    _write(errand, {"outcome": outcome, "due_at": None})


def failed(errand: Errand, outcome: str, **columns: object) -> bool:
    """Write that a try failed; returns whether that was the last one."""
    attempts = errand.attempts + 1
    is_last = attempts >= MOST_ATTEMPTS
    pause = timedelta(seconds=FIRST_PAUSE * GROWTH ** (attempts - 1))
    due = None if is_last else timezone.now() + pause
    _write(errand, {"outcome": outcome, "attempts": attempts, "due_at": due, **columns})
    return is_last


def _write(errand: Errand, columns: dict[str, object]) -> None:
    type(errand)._default_manager.filter(pk=errand.pk).update(**columns, lease_until=None)
