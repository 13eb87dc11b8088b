"""The tick: rows that are due, brought to what is wanted, until none is left.

    claim (one transaction) → prepare (reads) → asyncio.run(push) (network, no transaction) → record (one transaction)

While one batch is on the network the next is claimed and the one before recorded, so CMA is what a tick waits for. Any
number of ticks may run anywhere at the same time; each may be killed at any moment.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from powerloom.reconcile import budget
from powerloom.reconcile.claims import Claims, claim
from powerloom.reconcile.prepare import Prepared, prepare
from powerloom.reconcile.push import Outcome, push
from powerloom.reconcile.record import record

TICK_LIMIT = 20.0  # a worker's thread is free again after this; the next tick goes on

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class UnderWay:
    """A batch whose jobs are on the network."""

    claims: Claims
    prepared: Prepared
    outcome: Future[Outcome]


def tick(*, clock: Clock = timezone.now) -> int:
    """Converge until nothing is due, CMA is down, or `TICK_LIMIT` is over. Returns the number of rows that had
    their turn.
    """
    ends_at = time.monotonic() + TICK_LIMIT
    turns = 0
    under_way: UnderWay | None = None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="push") as network:
        while True:
            claims = claim(clock()) if time.monotonic() < ends_at else None
            following = start(claims, network) if claims else None
            if under_way and finish(under_way, clock).is_down:
                ends_at = 0.0  # the next tick looks whether it is back
            if following is None and (under_way is None or time.monotonic() >= ends_at):
                return turns
            turns += len(following.claims.claims) if following else 0
            under_way = following


def start(claims: Claims, network: ThreadPoolExecutor) -> UnderWay:
    """Send a batch off."""
    prepared = prepare(claims.claims)
    return UnderWay(claims, prepared, network.submit(push_all, prepared))


def push_all(prepared: Prepared) -> Outcome:
    """Push the jobs of a batch in an event loop of their own."""
    if not prepared.jobs:
        return Outcome()
    return asyncio.run(push(prepared.jobs, concurrency=settings.RECONCILE_CONCURRENCY))


def finish(under_way: UnderWay, clock: Clock) -> Outcome:
    """Wait for a batch and record it."""
    # What needed no call is not worth waiting for, but one transaction is cheaper than two.
    outcome = under_way.outcome.result()
    now = clock()
    record([*under_way.prepared.settled, *outcome.results], owner=under_way.claims.owner, now=now)
    for account, reserved in under_way.claims.reserved.items():
        owed = Counter(outcome.spent.get(account, Counter()))
        owed.subtract(reserved)
        budget.settle(account, owed, outcome.blocked.get(account, {}), now)
    return outcome
