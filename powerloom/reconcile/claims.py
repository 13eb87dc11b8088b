"""Taking rows to work on: fair by organization, revocations first, within the budget, each row by one worker.

A claim is a lease: owner and end are written by compare-and-set on rows that nobody holds. Time is only ever used to
wait, never to decide who is right, so a clock that jumps may cost a wait of `LONGEST_WAIT` at most: any time further
ahead than we ever write was written under another clock and counts as past.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from itertools import zip_longest
from operator import or_
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Case, DateTimeField, F, Min, Q, Value, When

from powerloom.reconcile.account import Account, account_of
from powerloom.reconcile.budget import Purse
from powerloom.reconcile.driver import Driver
from powerloom.reconcile.models import Lane, SyncState, Urgency
from powerloom.reconcile.registry import drivers
from powerloom.reconcile.result import LONGEST_WAIT

BATCH = 250
MOST_ORGANIZATIONS = 50  # served in one batch
LEASE = timedelta(seconds=120)
LANE_PAUSE = timedelta(seconds=60)
SKEW = timedelta(seconds=60)  # by how much the clocks of two workers may differ
LONGEST = timedelta(seconds=LONGEST_WAIT) + SKEW


@dataclass(frozen=True)
class Claim:
    """One leased row. `attempted_at` is what stood there before: set, an earlier create's answer may be lost."""

    state: SyncState
    attempted_at: datetime | None


@dataclass
class Claims:
    """One worker's batch. `reserved` is what was taken from the budget for it."""

    owner: str
    claims: list[Claim]
    reserved: dict[Account, Counter[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pick:
    """A row that may be claimed, with the little that is needed to judge it."""

    id: UUID
    kind: str
    remote_id: str
    urgency: int
    attempted_at: datetime | None

    @property
    def call_class(self) -> str:
        driver = drivers()[self.kind]
        return driver.others if self.remote_id else driver.creates


def claim(now: datetime, *, most: int = BATCH) -> Claims | None:
    """Lease up to `most` rows that are due. Returns None when there are none, after one query."""
    organizations = _due_organizations(now)
    if not organizations:
        return None
    taken = Claims(uuid4().hex, [])
    with transaction.atomic(durable=True):
        picks = {pick.id: pick for pick in _picks(organizations, most, taken, now)}
        _lease(list(picks), taken.owner, now)
        rows = SyncState.objects.filter(pk__in=list(picks), lease_owner=taken.owner).order_by("urgency", "due_at")
        taken.claims = [Claim(row, picks[row.pk].attempted_at) for row in rows]
    return taken if taken.claims else None


def release_all() -> int:
    """Free every lease. For the embedded mode when it starts: this is its one process, so who held them is dead."""
    held = SyncState.objects.exclude(lease_owner="")
    return held.update(lease_owner="", lease_until=None)


def eligible(now: datetime) -> Q:
    """Return the filter of rows that are due now and that nobody holds."""
    # What nobody tried yet has nothing to wait for, whatever the clock did since it was written.
    is_time = Q(due_at__lte=now) | Q(due_at__gt=now + LONGEST) | Q(attempts=0, condition="")
    return Q(is_due=True) & is_free(now) & is_time


def is_free(now: datetime) -> Q:
    """Return the filter of rows that no living worker holds."""
    return Q(lease_until__isnull=True) | Q(lease_until__lte=now) | Q(lease_until__gt=now + LEASE + SKEW)


def _due_organizations(now: datetime) -> list[UUID]:
    """Return who has anything due; who only adds comes in random order, which no backlog can occupy."""
    paused = Lane.objects.filter(paused_until__gt=now, paused_until__lte=now + LONGEST)
    rows = (
        SyncState.objects.filter(eligible(now))
        .exclude(organization_id__in=paused.values("organization_id"))
        .values("organization_id")
        .annotate(first=Min("urgency"))
        .order_by("first", "?")
    )
    return [row["organization_id"] for row in rows[:MOST_ORGANIZATIONS]]


def _picks(organizations: Sequence[UUID], most: int, taken: Claims, now: datetime) -> list[Pick]:
    """Choose rows, one of each organization in turn, as far as the budget of their accounts goes."""
    accounts: dict[Account, list[UUID]] = defaultdict(list)
    for organization_id in organizations:
        accounts[account_of(organization_id)].append(organization_id)
    shares = _shares(organizations, most, now)
    chosen: list[Pick] = []
    for account, ids in accounts.items():
        purse = Purse(account, now)
        rows = [_rows(id_, now, shares[id_], _exhausted(purse)) for id_ in ids]
        affordable = list(_affordable(_in_turn(rows), purse))
        taken.reserved[account] = Counter(pick.call_class for pick in affordable)
        purse.take(taken.reserved[account])
        purse.save()
        chosen += affordable
    return chosen


def _shares(organizations: Sequence[UUID], most: int, now: datetime) -> dict[UUID, int]:
    """Return how many rows each may have in this batch.

    After a pause one row goes first, and until it is back nobody tries another.
    """
    shares = dict.fromkeys(organizations, max(1, most // len(organizations)))
    lanes = Lane.objects.select_for_update().filter(organization_id__in=organizations).order_by("pk")
    going_first = []
    for lane in lanes:
        is_paused = now < lane.paused_until <= now + LONGEST
        shares[lane.organization_id] = 0 if is_paused else 1
        going_first += [] if is_paused else [lane.pk]
    if going_first:
        Lane.objects.filter(pk__in=going_first).update(paused_until=now + LANE_PAUSE)
    return shares


def _rows(organization_id: UUID, now: datetime, most: int, exhausted: Q) -> list[Pick]:
    rows = SyncState.objects.filter(eligible(now), organization_id=organization_id).exclude(exhausted)
    rows = rows.select_for_update(skip_locked=True).order_by("urgency", "due_at")
    picks = [Pick(*row) for row in rows.values_list("id", "kind", "remote_id", "urgency", "attempted_at")[:most]]
    # A kind whose driver the settings no longer name is left alone. The query does not say so, because SQLite would
    # take the index of kinds for it, which is as long as the table.
    return [pick for pick in picks if pick.kind in drivers()]


def _in_turn(rows: Sequence[Sequence[Pick]]) -> Iterator[Pick]:
    for turn in zip_longest(*rows):
        yield from (pick for pick in turn if pick is not None)


def _affordable(picks: Iterable[Pick], purse: Purse) -> Iterator[Pick]:
    used: Counter[str] = Counter()
    for pick in picks:
        if used[pick.call_class] < purse.left(pick.call_class, urgency=Urgency(pick.urgency)):
            used[pick.call_class] += 1
            yield pick


def _exhausted(purse: Purse) -> Q:
    """Return the filter of rows whose next call nobody may make now, so that others behind them are found."""
    return reduce(or_, (part for driver in drivers().values() for part in _exhausted_of(driver, purse)), Q(pk__in=[]))


def _exhausted_of(driver: Driver, purse: Purse) -> Iterator[Q]:
    for call_class, rows in ((driver.creates, Q(remote_id="")), (driver.others, ~Q(remote_id=""))):
        if not purse.left(call_class, urgency=Urgency.REVOKE):
            yield Q(kind=driver.kind) & rows
        elif not purse.left(call_class, urgency=Urgency.CHANGE):
            yield Q(kind=driver.kind, urgency__gt=Urgency.REVOKE) & rows


def _lease(ids: Sequence[UUID], owner: str, now: datetime) -> None:
    # A create is noted before it is made: should its answer be lost, whoever comes next looks before creating again.
    is_first = When(remote_id="", attempted_at__isnull=True, then=Value(now))
    noted = Case(is_first, default=F("attempted_at"), output_field=DateTimeField())
    SyncState.objects.filter(is_free(now), pk__in=ids).update(
        lease_owner=owner, lease_until=now + LEASE, attempted_at=noted, updated_at=now
    )
