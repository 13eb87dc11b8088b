"""Drift: what another hand changed on CMA is found by listing, and put right by the engine.

    what we believe (one query)  →  pages of CMA (100 a call)  →  those whose version or time moved  →  compare in full

The rows are read before the pages are asked for, and a finding is written only onto a row that is still as it was then:
so a page that was old when it arrived says nothing. What is missing from the pages is asked for by its id before it
counts as vanished.

A pass may use a quarter of the read budget: every 60 s while it fits into that, else as often as it fits. What CMA
lists per parent (versions of skills, credentials of vaults) goes round in what is left, those looked at longest ago
first.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar  # Any: what a coroutine is sent
from uuid import UUID

from django.db.models import F, Q
from django.utils import timezone

from powerloom.cma.client import CMA
from powerloom.cma.errors import CMAError, Missing
from powerloom.cma.types import JSON
from powerloom.reconcile import budget
from powerloom.reconcile.account import Account, account_of
from powerloom.reconcile.claims import LONGEST, SKEW
from powerloom.reconcile.drift import Belief, beliefs, beliefs_of, compare, jobs_of, vanish
from powerloom.reconcile.driver import OTHER, Calls, Driver, Job
from powerloom.reconcile.models import SweepPass, SyncState
from powerloom.reconcile.orphans import Stray, keep_orphans
from powerloom.reconcile.push import CALL_SECONDS
from powerloom.reconcile.registry import drivers

log = logging.getLogger(__name__)

INTERVAL = 60.0
SHARE = 0.25  # of the read budget
CHUNK = 10  # pages held in memory at once
MOST_PARENTS = 200  # a pass, where no budget says less
MOST_ASKED_FOR = 100  # a pass: rows that were not in the list
LEASE = timedelta(minutes=3)  # two passes at once only cost calls: findings are written by compare-and-set
BUDGET_PAUSE = 1.0
BUDGET_PATIENCE = 60.0

Clock = Callable[[], datetime]
T = TypeVar("T")


@dataclass
class Pass:
    """One look through an account, and what it came to."""

    account: Account
    organizations: list[UUID]
    clock: Clock
    calls: int = 0
    drifted: int = 0
    vanished: int = 0
    orphans: int = 0
    strays: list[Stray] = field(default_factory=list)


def sweep(*, clock: Clock = timezone.now) -> list[Pass]:
    """Look through every account whose turn it is. Returns the passes that were made."""
    accounts: dict[Account, list[UUID]] = defaultdict(list)
    for organization_id in SyncState.objects.order_by().values_list("organization_id", flat=True).distinct():
        accounts[account_of(organization_id)].append(organization_id)
    turns = [Pass(account, ids, clock) for account, ids in accounts.items() if _takes_turn(account, clock())]
    for turn in turns:
        _look_through(turn)
    return turns


def _takes_turn(account: Account, now: datetime) -> bool:
    """Take the account's turn, if it is due and nobody has it."""
    SweepPass.objects.get_or_create(account=account.name, defaults={"due_at": now})
    is_due = Q(due_at__lte=now) | Q(due_at__gt=now + LONGEST)
    is_free = Q(lease_until__isnull=True) | Q(lease_until__lte=now) | Q(lease_until__gt=now + LEASE + SKEW)
    mine = SweepPass.objects.filter(is_due, is_free, account=account.name)
    return mine.update(lease_until=now + LEASE) == 1


def _look_through(turn: Pass) -> None:
    began = turn.clock()
    try:
        for driver in drivers().values():
            if driver.parent_kind is None:
                _flat(turn, driver)
        for driver in drivers().values():
            if driver.parent_kind is not None:
                _per_parent(turn, driver)
    except (CMAError, TimeoutError) as error:
        log.warning("The sweep broke off; the next one begins anew", extra={"error": str(error)})
    finally:
        SweepPass.objects.filter(account=turn.account.name).update(
            lease_until=None,
            finished_at=turn.clock(),
            due_at=began + timedelta(seconds=_interval(turn.calls)),
            calls=turn.calls,
        )


def _interval(calls: int) -> float:
    """Return the seconds from one pass to the next: as long as its calls take at our share of the budget."""
    share = _share_per_minute()
    return max(INTERVAL, calls / share * 60) if share else INTERVAL


def _share_per_minute() -> float:
    return budget.rates().get(OTHER, 0) * SHARE


# What CMA lists whole


def _flat(turn: Pass, driver: Driver) -> None:
    believed = beliefs(driver.kind, turn.organizations, turn.clock())
    unseen = dict(believed)
    turn.strays = []
    for answers in _chunks(turn, driver):
        moved = []
        for answer in answers:
            belief = _seen(turn, driver, answer, believed, unseen)
            if belief and belief.is_quiet and driver.remote(answer) != belief.remote:
                moved.append((belief, answer))
        if moved:
            turn.drifted += compare(driver, moved, turn.clock())
    _ask_for(turn, driver, [belief for belief in unseen.values() if belief.is_quiet])
    turn.orphans += keep_orphans(driver.kind, turn.strays, turn.account, turn.clock())


def _seen(
    turn: Pass, driver: Driver, answer: JSON, believed: dict[str, Belief], unseen: dict[str, Belief]
) -> Belief | None:
    remote_id = driver.remote(answer).id
    unseen.pop(remote_id, None)
    belief = believed.get(remote_id)
    if belief is None and (stamp := driver.stamped(answer)):
        turn.strays.append(Stray(remote_id, stamp))
    return belief


def _chunks(turn: Pass, driver: Driver) -> Iterator[list[JSON]]:
    cursor: str | None = None
    while True:
        pages = _afford(turn, driver.others, CHUNK)
        answers, cursor = _run(turn, partial(_pages, driver, cursor, pages))
        yield answers
        if cursor is None:
            return


async def _pages(driver: Driver, cursor: str | None, most: int, calls: Calls) -> tuple[list[JSON], str | None]:
    answers: list[JSON] = []
    for _ in range(most):
        page = await driver.page(calls, cursor, "")
        answers += page.data
        cursor = page.next_page
        if cursor is None:
            break
    return answers, cursor


# What was not in the list


def _ask_for(turn: Pass, driver: Driver, believed: Sequence[Belief]) -> None:
    """Ask for each by its id: a list may be behind, a 404 is not."""
    believed = believed[:MOST_ASKED_FOR]
    jobs = jobs_of(believed)
    asked = [belief for belief in believed if belief.pk in jobs]
    gone: list[Belief] = []
    for start in range(0, len(asked), CHUNK):
        some = asked[start : start + CHUNK]
        _afford(turn, driver.others, len(some))
        gone += _run(turn, partial(_gone, driver, some, jobs))
    if gone:
        turn.vanished += vanish(driver, gone, turn.clock())


async def _gone(driver: Driver, asked: Sequence[Belief], jobs: dict[UUID, Job], calls: Calls) -> list[Belief]:
    gone = []
    for belief in asked:
        try:
            answer = await driver.read(calls, jobs[belief.pk], belief.remote.id)
        except Missing:
            gone.append(belief)
            continue
        if driver.remote(answer).is_archived:
            gone.append(belief)
    return gone


# What CMA lists per parent


def _per_parent(turn: Pass, driver: Driver) -> None:
    share = _share_per_minute()
    left = int(share * _interval(turn.calls) / 60) - turn.calls if share else MOST_PARENTS
    parents = (
        SyncState.objects.filter(kind=driver.parent_kind, organization_id__in=turn.organizations, is_due=False)
        .exclude(remote_id="")
        .order_by(F("checked_at").asc(nulls_first=True))
        .values_list("object_id", "remote_id")
    )
    for object_id, remote_id in list(parents[: max(0, min(left, MOST_PARENTS))]):
        _one_parent(turn, driver, object_id, remote_id)
        SyncState.objects.filter(kind=driver.parent_kind, object_id=object_id).update(checked_at=turn.clock())


def _one_parent(turn: Pass, driver: Driver, object_id: UUID, remote_id: str) -> None:
    children = driver.children([object_id]).get(object_id, [])
    believed = beliefs_of(driver.kind, children, turn.clock())
    _afford(turn, driver.others, 1)
    try:
        seen = _run(turn, partial(_children, driver, remote_id))
    except Missing:
        return  # the parent itself is gone, which its own list tells
    quiet = {id_: belief for id_, belief in believed.items() if belief.is_quiet}
    pairs = [(belief, seen[id_]) for id_, belief in quiet.items() if id_ in seen]
    moved = [(belief, answer) for belief, answer in pairs if driver.remote(answer) != belief.remote]
    if moved:
        turn.drifted += compare(driver, moved, turn.clock())
    _ask_for(turn, driver, [belief for id_, belief in quiet.items() if id_ not in seen])


async def _children(driver: Driver, parent: str, calls: Calls) -> dict[str, JSON]:
    """Return what CMA lists under a parent, by CMA's id."""
    seen: dict[str, JSON] = {}
    cursor: str | None = None
    while True:
        page = await driver.page(calls, cursor, parent)
        seen |= {driver.remote(answer).id: answer for answer in page.data}
        if page.next_page is None:
            return seen
        cursor = page.next_page


# Calls and their budget


def _run(turn: Pass, work: Callable[[Calls], Coroutine[Any, Any, T]]) -> T:
    """Do some calls in an event loop of their own; they count even when one of them fails."""

    async def run() -> T:
        async with CMA(base_url=turn.account.url, api_key=turn.account.key, timeout=CALL_SECONDS) as cma:
            calls = Calls(cma)
            try:
                return await work(calls)
            finally:
                turn.calls += calls.spent.total()

    return asyncio.run(run())


def _afford(turn: Pass, call_class: str, most: int) -> int:
    """Wait until at least one call is left for sweeps; return how many are. Raises TimeoutError when none comes
    free.
    """
    gives_up_at = time.monotonic() + BUDGET_PATIENCE
    while not (granted := budget.take_for_sweep(turn.account, most, call_class, turn.clock())):
        if time.monotonic() > gives_up_at:
            raise TimeoutError("others need the whole budget")
        time.sleep(BUDGET_PAUSE)
    return granted
