"""The budget: CMA's quota is never exceeded, hardly wasted, and shared fairly."""

from collections import Counter, deque
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from powerloom.kernel.ids import new_id
from powerloom.reconcile import budget, claims
from powerloom.reconcile.account import Account
from powerloom.reconcile.budget import Purse
from powerloom.reconcile.driver import CREATE, OTHER
from powerloom.reconcile.models import RateBucket, SyncState, Urgency

ACCOUNT = Account("http://cma.test", "key")
START = datetime(2026, 11, 21, tzinfo=UTC)
RATES = {"create": 300, "other": 600, "environments": 60}


@pytest.fixture(autouse=True)
def limited(db: None, settings: Any) -> None:
    settings.CMA_RATES = RATES


def take_all(now: datetime, call_class: str = CREATE, urgency: Urgency = Urgency.REVOKE) -> int:
    with transaction.atomic(savepoint=False):
        purse = Purse(ACCOUNT, now)
        count = purse.left(call_class, urgency=urgency)
        purse.take({call_class: count})
        purse.save()
    return count


@pytest.mark.parametrize("call_class", sorted(RATES))
def test_no_minute_sees_more_than_the_quota_and_hardly_less(call_class: str) -> None:
    window: deque[tuple[int, int]] = deque()
    most, total = 0, 0
    for second in range(0, 300, 2):
        taken = take_all(START + timedelta(seconds=second), call_class)
        window.append((second, taken))
        while window[0][0] <= second - 60:
            window.popleft()
        most, total = max(most, sum(count for _, count in window)), total + taken
    assert most <= RATES[call_class]
    assert total / 5 >= 0.9 * RATES[call_class]


def test_what_one_worker_took_the_next_does_not_have() -> None:
    assert take_all(START) == 15
    assert take_all(START) == 0
    assert take_all(START + timedelta(seconds=10)) == 15


def test_additions_leave_a_reserve_for_revocations() -> None:
    assert take_all(START, OTHER, Urgency.CHANGE) == 24
    assert take_all(START, OTHER, Urgency.CHANGE) == 0
    assert take_all(START, OTHER, Urgency.REVOKE) == 6


def test_sweeps_leave_half_to_everybody_else() -> None:
    assert budget.take_for_sweep(ACCOUNT, 1000, OTHER, START) == 15
    assert budget.take_for_sweep(ACCOUNT, 1000, OTHER, START) == 0
    assert take_all(START, OTHER, Urgency.CHANGE) == 9


def test_a_reservation_that_was_not_used_comes_back() -> None:
    take_all(START)
    budget.settle(ACCOUNT, Counter({CREATE: -5}), {}, START)
    assert take_all(START) == 5


def test_calls_that_were_not_foreseen_are_paid_later() -> None:
    take_all(START, OTHER)
    budget.settle(ACCOUNT, Counter({OTHER: 19}), {}, START)
    assert take_all(START + timedelta(seconds=2), OTHER) == 0
    assert take_all(START + timedelta(seconds=4), OTHER) > 0


def test_after_a_429_nobody_calls_before_cma_said() -> None:
    budget.settle(ACCOUNT, Counter(), {CREATE: 30.0}, START)
    assert take_all(START + timedelta(seconds=29)) == 0
    assert take_all(START, OTHER) > 0
    assert take_all(START + timedelta(seconds=31)) == 15


def test_a_clock_that_went_backwards_neither_gives_nor_blocks() -> None:
    budget.settle(ACCOUNT, Counter({CREATE: 15}), {CREATE: 30.0}, START)
    earlier = START - timedelta(days=1)
    assert take_all(earlier) == 0
    assert take_all(earlier + timedelta(seconds=10)) == 15


def test_accounts_do_not_share() -> None:
    take_all(START)
    with transaction.atomic(savepoint=False):
        assert Purse(Account("http://cma.test", "another"), START).left(CREATE, urgency=Urgency.CHANGE) > 0


def test_the_key_is_nowhere_in_the_table() -> None:
    take_all(START)
    assert "key" not in RateBucket.objects.first().account  # type: ignore[union-attr]  # just made
    assert "key" not in repr(ACCOUNT).replace("'key'", "key").partition("url=")[2].partition(",")[2]


def test_without_rates_nothing_is_limited_and_nothing_is_asked(settings: Any) -> None:
    settings.CMA_RATES = {}
    with CaptureQueriesContext(connection) as queries:
        assert Purse(ACCOUNT, START).left(CREATE, urgency=Urgency.CHANGE) >= 1000
        budget.settle(ACCOUNT, Counter({CREATE: 5}), {}, START)
    assert len(queries) == 0


# Neighbours


def dirty(organization_id: Any, count: int, *, age: int = 0, **columns: Any) -> list[SyncState]:
    """Rows that are due since `age` seconds."""
    due_at = START - timedelta(seconds=age)
    return SyncState.objects.bulk_create(
        SyncState(kind="agent", object_id=new_id(), organization_id=organization_id, due_at=due_at, **columns)
        for _ in range(count)
    )


def test_ten_thousand_rows_of_a_neighbour_do_not_delay_a_revocation() -> None:
    mine = new_id()
    dirty(new_id(), 10_000, age=3600)
    [revoked] = dirty(mine, 1, remote_id="agent_1", urgency=Urgency.REVOKE)
    taken = claims.claim(START)
    assert taken is not None
    assert taken.claims[0].state.pk == revoked.pk


def test_not_even_when_the_neighbour_spent_the_budget() -> None:
    mine = new_id()
    dirty(new_id(), 1_000, age=3600, remote_id="agent_0")
    while claims.claim(START):
        pass
    [revoked] = dirty(mine, 1, remote_id="agent_1", urgency=Urgency.REVOKE)
    taken = claims.claim(START)
    assert taken is not None
    assert [claim.state.pk for claim in taken.claims] == [revoked.pk]


def test_a_neighbours_backlog_does_not_delay_an_addition_either() -> None:
    mine = new_id()
    dirty(new_id(), 1_000, age=3600)
    dirty(mine, 3)
    taken = claims.claim(START)
    assert taken is not None
    assert sum(claim.state.organization_id == mine for claim in taken.claims) == 3
    assert len(taken.claims) == 12  # what the budget of creates allows


def test_rows_behind_an_exhausted_class_are_found() -> None:
    mine = new_id()
    dirty(mine, 300, age=60)
    updates = dirty(mine, 3, remote_id="agent_1")
    first, second = claims.claim(START), claims.claim(START)
    assert first is not None
    assert second is not None
    claimed = {claim.state.pk for claim in [*first.claims, *second.claims]}
    assert {row.pk for row in updates} <= claimed


def test_a_claim_costs_the_same_whatever_the_backlog() -> None:
    mine = new_id()

    def queries() -> int:
        SyncState.objects.update(lease_owner="", lease_until=None)
        RateBucket.objects.update(level=15)
        with CaptureQueriesContext(connection) as captured:
            assert claims.claim(START) is not None
        return len(captured)

    dirty(mine, 5)
    queries()
    few = queries()
    dirty(mine, 500)
    assert queries() == few
