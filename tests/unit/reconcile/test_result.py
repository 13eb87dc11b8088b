"""What each outcome writes into its row."""

from datetime import UTC, datetime, timedelta

import pytest

from powerloom.cma.errors import AccountProblem, CMAError, Conflict, Missing, NameTaken, Rejected, Unavailable
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.result import (
    MOST_ATTEMPTS,
    Condition,
    Done,
    Failed,
    Later,
    Odd,
    Paused,
    Remote,
    Turn,
    Vanished,
    Waits,
    backoff,
    columns,
    failure,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def turn(*, had_attempt: bool = False, **row: object) -> Turn:
    return Turn(SyncState(**row), had_attempt, NOW)


def test_the_wait_doubles_up_to_five_minutes() -> None:
    assert [backoff(attempts) for attempts in range(1, 12)] == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_ten_failures_in_a_row_park() -> None:
    failed = Failed(Condition.UNREACHABLE, "down")
    assert columns(turn(attempts=MOST_ATTEMPTS - 2), failed)["parked_at"] is None
    assert columns(turn(attempts=MOST_ATTEMPTS - 1), failed)["parked_at"] == NOW


def test_a_refusal_is_confirmed_once_and_then_parks() -> None:
    refused = Failed(Condition.REJECTED, "no such model", is_permanent=True)
    first = columns(turn(), refused)
    assert first["parked_at"] is None
    assert first["due_at"] == NOW + timedelta(seconds=2)
    assert columns(turn(attempts=1, condition=first["condition"]), refused)["parked_at"] == NOW


def test_a_refusal_after_another_kind_of_failure_is_not_confirmed_yet() -> None:
    refused = Failed(Condition.REJECTED, "no such model", is_permanent=True)
    assert columns(turn(attempts=3, condition=Condition.UNREACHABLE), refused)["parked_at"] is None


def test_what_cma_asks_for_is_waited_when_it_is_longer() -> None:
    limited = Failed(Condition.RATE_LIMITED, "slow down", retry_after=30)
    assert columns(turn(), limited)["due_at"] == NOW + timedelta(seconds=30)
    assert columns(turn(attempts=7), limited)["due_at"] == NOW + timedelta(seconds=256)


def test_an_absurd_wish_to_wait_is_cut() -> None:
    limited = Failed(Condition.RATE_LIMITED, "slow down", retry_after=10**9)
    assert columns(turn(), limited)["due_at"] == NOW + timedelta(hours=1)


def test_a_lost_answer_keeps_the_note_of_its_create() -> None:
    assert "attempted_at" not in columns(turn(), Failed(Condition.UNREACHABLE, "cut", is_lost=True))
    assert columns(turn(), Failed(Condition.RATE_LIMITED, "slow"))["attempted_at"] is None


def test_after_a_failed_update_cma_is_read_first() -> None:
    assert columns(turn(remote_id="agent_1"), Failed(Condition.STALE, "newer"))["actual_hash"] == ""
    assert "actual_hash" not in columns(turn(remote_id="agent_1"), Failed(Condition.RATE_LIMITED, "slow"))


@pytest.mark.parametrize("result", [Waits("skill python-lint", None), Later(2), Later(), Paused("refused")])
def test_what_was_not_tried_counts_no_attempt_and_takes_back_its_note(
    result: Waits | Later | Paused,
) -> None:
    written = columns(turn(attempts=3), result)
    assert "attempts" not in written
    assert written["attempted_at"] is None
    assert "attempted_at" not in columns(turn(had_attempt=True), result)


def test_waiting_says_for_what_and_looks_again_next_tick() -> None:
    written = columns(turn(), Waits("skill python-lint", None))
    assert written["waits_for"] == "skill python-lint"
    assert written["due_at"] == NOW + timedelta(seconds=2)


def test_success_ends_everything_that_went_before() -> None:
    written = columns(turn(attempts=9, last_error="down"), Done("h", Remote("agent_1", "3"), {"name": "A"}))
    assert (written["attempts"], written["last_error"], written["attempted_at"]) == (0, "", None)
    assert written["desired_hash"] == written["actual_hash"] == "h"
    assert (written["remote_id"], written["remote_version"], written["synced_at"]) == ("agent_1", "3", NOW)


def test_what_is_rightly_absent_has_no_id() -> None:
    assert columns(turn(remote_id="agent_1"), Done("h", is_gone=True))["remote_id"] == ""


def test_what_vanished_is_made_anew_at_once() -> None:
    written = columns(turn(remote_id="agent_1"), Vanished())
    assert (written["remote_id"], written["actual_hash"], written["due_at"]) == ("", "", NOW)


def test_what_cma_cannot_represent_parks_with_the_diff() -> None:
    differences = [{"path": "system", "desired": "a", "actual": "b"}]
    written = columns(turn(), Odd("d", "a", Remote("agent_1"), {}, differences, {}))
    assert (written["parked_at"], written["drift"]) == (NOW, differences)
    assert "system" in written["last_error"]


@pytest.mark.parametrize(
    ("error", "condition", "is_permanent"),
    [
        (Unavailable("x"), Condition.UNREACHABLE, False),
        (Unavailable("x", status=408), Condition.UNREACHABLE, False),
        (Unavailable("x", status=529), Condition.UNREACHABLE, False),
        (Unavailable("x", status=429), Condition.RATE_LIMITED, False),
        (Conflict("x", status=409), Condition.STALE, False),
        (NameTaken("x", status=409), Condition.NAME_TAKEN, True),
        (Rejected("x", status=400), Condition.REJECTED, True),
        (Rejected("x", status=413), Condition.REJECTED, True),
        (Missing("x", status=404), Condition.REJECTED, False),
    ],
)
def test_errors_are_transient_or_permanent(error: CMAError, condition: Condition, is_permanent: bool) -> None:
    failed = failure(error)
    assert isinstance(failed, Failed)
    assert (failed.condition, failed.is_permanent) == (condition, is_permanent)


@pytest.mark.parametrize("status", [401, 402])
def test_the_accounts_trouble_is_not_the_rows(status: int) -> None:
    assert isinstance(failure(AccountProblem("x", status=status)), Paused)


def test_only_a_lost_answer_is_looked_for() -> None:
    assert failure(Unavailable("x", status=500, answer_lost=True)) == Failed(
        Condition.UNREACHABLE, "CMA did not take the call (500): x", is_lost=True
    )
    limited = failure(Unavailable("x", status=429, retry_after=7))
    assert isinstance(limited, Failed)
    assert (limited.is_lost, limited.retry_after) == (False, 7)
