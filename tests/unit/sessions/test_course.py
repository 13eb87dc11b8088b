"""The course of a session, step by step: every word of the runtime and its state here."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sessions import course as steps
from sessions.course import Course, Step
from sessions.frames import Frame
from sessions.models import AgentSession

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def new(**columns: Any) -> Course:
    fresh: dict[str, Any] = {
        "status": "pending",
        "waiting_for": "",
        "stop_reason": "",
        "last_error": "",
        "cma_session_id": "",
        "max_duration": 600,
        "turn_started_at": None,
        "deadline_at": None,
        "turn_left": None,
        "active_seconds": 0.0,
        "event_count": 0,
        "mcp_tool_use_count": 0,
        "mcp_server_count": 0,
        "degradation_flagged": False,
        "last_seq": 0,
        "started_at": None,
        "ended_at": None,
        "owed": "",
    }
    return Course(**fresh | columns)


def event(kind: str, **fields: Any) -> Step:
    return steps.observe({"id": f"sevt_{kind}", "type": kind, "processed_at": "now", **fields})


def idle(reason: str) -> Step:
    return event("session.status_idle", stop_reason={"type": reason})


def follow(course: Course, *several: Step, at: datetime = NOON) -> list[Frame]:
    return [frame for step in several for frame in step(course, at)]


RUNNING = event("session.status_running")


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        ([idle("end_turn")], "idle_end_turn", "end_turn"),
        ([idle("refusal")], "idle_end_turn", "refusal"),
        ([idle("budget_reached")], "idle_end_turn", "budget_reached"),
        ([idle("requires_action")], "running", ""),
        ([event("session.status_rescheduled")], "running", ""),
        ([idle("retries_exhausted")], "failed", "retries_exhausted"),
        ([event("session.status_terminated")], "terminated", "terminated"),
        ([event("session.deleted")], "terminated", "deleted on the runtime"),
        (
            [
                event("session.error", error={"type": "x", "message": "y", "retry_status": {"type": "terminal"}}),
                event("session.status_terminated"),
            ],
            "failed",
            "terminal_error",
        ),
        (
            [
                event("session.error", error={"type": "x", "message": "y", "retry_status": {"type": "retrying"}}),
                idle("end_turn"),
            ],
            "idle_end_turn",
            "end_turn",
        ),
    ],
)
def test_each_word_of_the_runtime_has_its_state(words: list[Step], status: str, reason: str) -> None:
    course = new()
    follow(course, steps.create("sesn_1"), RUNNING, *words)
    assert (course.status, course.stop_reason) == (status, reason)


def test_a_new_session_stays_pending_until_the_runtime_says_that_it_runs() -> None:
    course = new()
    follow(course, steps.create("sesn_1"), steps.begin_turn)
    assert (course.status, course.in_turn) == ("pending", True)
    follow(course, RUNNING)
    assert course.status == "running"


def test_a_failure_keeps_the_last_words_of_the_runtime_and_a_good_end_clears_them() -> None:
    error = event("session.error", error={"type": "model_overloaded_error", "message": "busy"})
    failed, fine = new(), new()
    follow(failed, RUNNING, error, idle("retries_exhausted"))
    follow(fine, RUNNING, error, idle("end_turn"))
    assert (failed.last_error, fine.last_error) == ("model_overloaded_error: busy", "")


def test_it_says_that_it_ended_with_counts_of_the_runtimes_events_only() -> None:
    course = new()
    frames = follow(course, steps.create("sesn_1"), RUNNING, event("agent.mcp_tool_use"), idle("end_turn"))
    assert frames[0].type == "powerloom.session_created"
    ended = frames[-1]
    assert ended.type == "powerloom.session_ended"
    assert (ended.payload["event_count"], ended.payload["mcp_tool_use_count"]) == (3, 1)


def test_an_ended_session_takes_nothing_more() -> None:
    course = new(status="terminated")
    assert follow(course, RUNNING, idle("end_turn"), steps.end("failed")) == []
    assert (course.status, course.event_count) == ("terminated", 0)


def test_the_end_of_a_turn_is_no_end_while_a_message_waits() -> None:
    course = new(has_queued=lambda: True)
    frames = follow(course, RUNNING, idle("end_turn"))
    assert [frame.type for frame in frames] == ["session.status_running", "session.status_idle"]
    assert (course.status, course.in_turn) == ("running", False)


# --- The clock


def test_the_limit_counts_per_turn() -> None:
    course = new(max_duration=60)
    follow(course, steps.begin_turn, RUNNING)
    assert course.deadline_at == NOON + timedelta(seconds=60)
    follow(course, idle("end_turn"), at=NOON + timedelta(seconds=50))
    assert course.in_turn is False
    assert course.active_seconds == 50
    later = NOON + timedelta(hours=1)
    follow(course, steps.begin_turn, at=later)
    assert course.deadline_at == later + timedelta(seconds=60)


def test_waiting_for_somebody_stops_the_clock() -> None:
    course = new(max_duration=60)
    follow(course, steps.begin_turn, RUNNING)
    follow(course, idle("requires_action"), at=NOON + timedelta(seconds=20))
    assert (course.waiting_for, course.deadline_at, course.turn_left) == ("confirmation", None, 40)
    tomorrow = NOON + timedelta(days=1)
    follow(course, RUNNING, at=tomorrow)
    assert course.deadline_at == tomorrow + timedelta(seconds=40)
    assert course.waiting_for == ""


def test_a_turn_whose_time_is_up_ends_as_timeout_when_the_runtime_has_stopped() -> None:
    course = new(max_duration=60)
    follow(course, steps.begin_turn, RUNNING)
    follow(course, steps.expire, at=NOON + timedelta(seconds=60))
    assert (course.status, course.deadline_at) == ("running", None)
    follow(course, idle("end_turn"), at=NOON + timedelta(seconds=61))
    assert (course.status, course.last_error) == ("timeout", "The turn took longer than 60 seconds.")


def test_time_that_is_up_after_the_turn_has_ended_is_nothing() -> None:
    course = new()
    follow(course, steps.begin_turn, RUNNING, idle("end_turn"), steps.expire)
    assert (course.status, course.stop_reason) == ("idle_end_turn", "end_turn")


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6))
def test_a_clock_that_jumps_gives_no_turn_more_than_its_limit(jumps: list[float]) -> None:
    course, now = new(max_duration=60), NOON
    for jump in jumps:
        follow(course, steps.begin_turn, RUNNING, at=now)
        now += timedelta(seconds=jump)
        follow(course, idle("requires_action"), at=now)
        assert course.turn_left is not None
        assert 0 <= course.turn_left <= 60
        follow(course, RUNNING, idle("end_turn"), at=now)
    assert 0 <= course.active_seconds <= 60 * len(jumps)


# --- The table of states is kept whatever happens

ANY = st.sampled_from(
    [
        RUNNING,
        idle("end_turn"),
        idle("requires_action"),
        idle("retries_exhausted"),
        event("session.status_terminated"),
        event("session.deleted"),
        event("agent.message"),
        event("session.error", error={"retry_status": {"type": "terminal"}}),
        steps.begin_turn,
        steps.withdraw_turn,
        steps.wake,
        steps.expire,
        steps.stall("words"),
        steps.create("sesn_1"),
        steps.end("failed"),
        steps.end("timeout"),
        steps.end("terminated"),
    ]
)


@given(st.lists(ANY, max_size=12))
def test_no_step_leaves_the_table_of_moves(several: list[Step]) -> None:
    course = new()
    for step in several:
        before = course.status
        follow(course, step)
        after = course.status
        through = AgentSession.MOVES["running"] if before == "pending" else frozenset()
        assert before == after or after in AgentSession.MOVES.get(before, frozenset()) | through, f"{before} → {after}"
        assert not (course.is_at_rest and course.in_turn)
