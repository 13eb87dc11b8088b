"""CMA's rate limits as a budget that all workers share: a token bucket for each account and class of call, in the
database.

A bucket refills at 95 % of the quota and holds 5 % of it, so that no window of a minute ever sees more than the quota,
however CMA counts. The last fifth is kept for revocations, and sweeps may only use the upper half. Cost is constant:
one locked read and one write for a batch, whatever its size. Without `settings.CMA_RATES` nothing is limited and
nothing is read or written.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from powerloom.reconcile.account import Account
from powerloom.reconcile.models import RateBucket, Urgency

REFILL = 0.95
BURST = 0.05
RESERVE = 0.2  # of the burst, for revocations
SWEEP_RESERVE = 0.5  # of the burst, for whatever is not a sweep
LONGEST_BLOCK = timedelta(hours=1)  # a later time was written under a clock that has moved
UNLIMITED = 1_000_000


class Purse:
    """The buckets of one account, locked for the current transaction, filled up to now."""

    def __init__(self, account: Account, now: datetime) -> None:
        self._now = now
        self._buckets = _locked(account, now) if rates() else {}
        for bucket in self._buckets.values():
            _fill(bucket, now)

    def left(self, call_class: str, *, urgency: Urgency) -> int:
        """Return how many calls of the class may be made now."""
        share = RESERVE if urgency > Urgency.REVOKE else 0.0
        return self._over(call_class, share)

    def left_for_sweep(self, call_class: str) -> int:
        """As `left`, for reading that can wait."""
        return self._over(call_class, SWEEP_RESERVE)

    def take(self, spent: Mapping[str, int]) -> None:
        """Take calls out; a negative number puts back what was reserved and not used."""
        for call_class, count in spent.items():
            if call_class in self._buckets:
                self._buckets[call_class].level -= count

    def block(self, call_class: str, seconds: float) -> None:
        """CMA answered 429: nothing of this class before it said."""
        if call_class in self._buckets:
            until = self._now + min(timedelta(seconds=max(seconds, 1.0)), LONGEST_BLOCK)
            self._buckets[call_class].blocked_until = until

    def save(self) -> None:
        RateBucket.objects.bulk_update(self._buckets.values(), ["level", "filled_at", "blocked_until"])

    def _over(self, call_class: str, share: float) -> int:
        bucket = self._buckets.get(call_class)
        if bucket is None:
            return UNLIMITED
        if bucket.blocked_until and self._now < bucket.blocked_until <= self._now + 2 * LONGEST_BLOCK:
            return 0
        return max(0, math.floor(bucket.level - share * burst(call_class)))


def rates() -> dict[str, int]:
    """Return the quota of each class, in calls a minute; empty when nothing is limited."""
    quota: dict[str, int] = settings.CMA_RATES
    return quota


def burst(call_class: str) -> float:
    """Return how many calls of the class a full bucket holds."""
    return max(1.0, rates()[call_class] * BURST)


def settle(account: Account, owed: Counter[str], blocked: Mapping[str, float], now: datetime) -> None:
    """Correct a reservation by what was really spent, and note what CMA refused."""
    if not rates() or not (any(owed.values()) or blocked):
        return
    with transaction.atomic(durable=True):
        purse = Purse(account, now)
        purse.take(owed)
        for call_class, seconds in blocked.items():
            purse.block(call_class, seconds)
        purse.save()


def take_for_sweep(account: Account, most: int, call_class: str, now: datetime) -> int:
    """Take up to `most` calls for reading that can wait; return how many there were."""
    if not rates():
        return most
    with transaction.atomic(durable=True):
        purse = Purse(account, now)
        granted = min(most, purse.left_for_sweep(call_class))
        purse.take({call_class: granted})
        purse.save()
    return granted


def _locked(account: Account, now: datetime) -> dict[str, RateBucket]:
    found = _select(account)
    missing = [call_class for call_class in rates() if call_class not in found]
    if missing:
        RateBucket.objects.bulk_create(_full(account, missing, now), ignore_conflicts=True)
        found = _select(account)
    return found


def _select(account: Account) -> dict[str, RateBucket]:
    rows = RateBucket.objects.select_for_update().filter(account=account.name).order_by("call_class")
    return {bucket.call_class: bucket for bucket in rows if bucket.call_class in rates()}


def _full(account: Account, classes: Iterable[str], now: datetime) -> list[RateBucket]:
    return [
        RateBucket(account=account.name, call_class=call_class, level=burst(call_class), filled_at=now)
        for call_class in classes
    ]


def _fill(bucket: RateBucket, now: datetime) -> None:
    # A clock that went backwards gives nothing and takes nothing: it counts from where it is now.
    seconds = max(0.0, (now - bucket.filled_at).total_seconds())
    per_second = rates()[bucket.call_class] * REFILL / 60
    bucket.level = min(burst(bucket.call_class), bucket.level + seconds * per_second)
    bucket.filled_at = now
