"""The course of a session: what happens to it, folded into its state. Pure.

    pending → running → idle_end_turn → running …          CMA's word                      ours
                      → terminated | timeout | failed      idle: end_turn, refusal,        idle_end_turn, with the
                      reason
                                                                 budget_reached
                                                           idle: requires_action           running; the clock stands
                                                           rescheduled                     running
                                                           idle: retries_exhausted         failed
                                                           error: terminal                 failed, when it terminates
                                                           terminated                      terminated

A step takes the course as it stands and gives the frames to be stored. The limit counts per turn: a message starts
the clock, waiting for somebody stops it. A session that is over takes no more events, so `powerloom.session_ended` is
its last frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sessions.degradation import is_degraded
from sessions.frames import JSON, SESSION_ENDED, Frame, created, of_event

PENDING, RUNNING, IDLE, TERMINATED, TIMEOUT, FAILED = (
    "pending",
    "running",
    "idle_end_turn",
    "terminated",
    "timeout",
    "failed",
)
OVER = frozenset({TERMINATED, TIMEOUT, FAILED})
AT_REST = OVER | {IDLE}

EXPIRED = "timeout"  # stop reason of a turn that was told to stop because its time was up
TERMINAL = "terminal_error"  # stop reason of a session that CMA has said to be lost
CONFIRMATION = "confirmation"


@dataclass
class Course:
    """The columns of a session that its course decides. `has_queued` is asked when a turn ends: does a message wait?"""

    status: str
    waiting_for: str
    stop_reason: str
    last_error: str
    cma_session_id: str
    max_duration: int
    turn_started_at: datetime | None
    deadline_at: datetime | None
    turn_left: float | None
    active_seconds: float
    event_count: int
    mcp_tool_use_count: int
    mcp_server_count: int
    degradation_flagged: bool
    last_seq: int
    started_at: datetime | None
    ended_at: datetime | None
    owed: str
    has_queued: Callable[[], bool] = lambda: False

    @property
    def is_over(self) -> bool:
        return self.status in OVER

    @property
    def is_at_rest(self) -> bool:
        return self.status in AT_REST

    @property
    def in_turn(self) -> bool:
        """Whether the agent is at work or waits for an answer, so that a message has to wait."""
        return self.turn_started_at is not None or self.turn_left is not None

    def start_clock(self, now: datetime) -> None:
        """Begin a turn, or go on with one whose clock stands."""
        if self.turn_started_at is not None:
            return
        left = self.max_duration if self.turn_left is None else self.turn_left
        self.turn_started_at, self.deadline_at, self.turn_left = now, now + timedelta(seconds=left), None

    def stop_clock(self, now: datetime, *, keep: bool = False) -> None:
        """End the turn, or with `keep` let its clock stand."""
        if self.turn_started_at is not None:
            # A clock that went backwards neither takes time away nor gives any.
            spent = min(max((now - self.turn_started_at).total_seconds(), 0.0), float(self.max_duration))
            self.active_seconds += spent
            left = (self.deadline_at - now).total_seconds() if self.deadline_at else 0.0
            self.turn_left = min(max(left, 0.0), float(self.max_duration)) if keep else None
        elif not keep:
            self.turn_left = None
        self.turn_started_at = self.deadline_at = None


Step = Callable[[Course, datetime], list[Frame]]
React = Callable[[Course, JSON, datetime], list[Frame]]


def observe(event: JSON) -> Step:
    """CMA told of an event."""
    return partial(_observe, event)


def _observe(event: JSON, course: Course, now: datetime) -> list[Frame]:
    if course.is_over:
        return []
    course.event_count += 1
    react = REACTIONS.get(event["type"])
    return [of_event(event), *(react(course, event, now) if react else [])]


def create(cma_session_id: str) -> Step:
    """The session exists on CMA."""

    def step(course: Course, now: datetime) -> list[Frame]:
        course.cma_session_id = cma_session_id
        if course.is_over:
            return []
        course.started_at = now
        course.last_error = ""
        return [created(cma_session_id)]

    return step


def begin_turn(course: Course, now: datetime) -> list[Frame]:
    """A message is about to be sent."""
    if not course.is_over:
        if course.status == IDLE:  # a new one stays pending until CMA says that it runs
            course.status, course.ended_at = RUNNING, None
        course.waiting_for = course.stop_reason = course.last_error = ""
        course.turn_left = None
        course.start_clock(now)
    return []


def wake(course: Course, now: datetime) -> list[Frame]:
    """A message was written to a session at rest: it runs again, though CMA has yet to hear of it."""
    if course.status == IDLE:
        course.status, course.ended_at = RUNNING, None
        course.stop_reason = course.last_error = ""
    return []


def stall(words: str) -> Step:
    """CMA does not answer: say so."""

    def step(course: Course, now: datetime) -> list[Frame]:
        if not course.is_over:
            course.last_error = words
        return []

    return step


def withdraw_turn(course: Course, now: datetime) -> list[Frame]:
    """The message did not reach CMA after all: its turn has not begun."""
    course.turn_started_at = course.deadline_at = course.turn_left = None
    return []


def expire(course: Course, now: datetime) -> list[Frame]:
    """The turn's time is up; CMA is being told to stop."""
    if course.turn_started_at is not None:
        course.stop_reason = EXPIRED
        course.deadline_at = None
    return []


def end(status: str, *, reason: str = "", error: str = "", owed: str = "") -> Step:
    """It ends for a reason of ours. Nothing happens when it is already over."""

    def step(course: Course, now: datetime) -> list[Frame]:
        if course.is_over:
            return []
        course.owed = owed or course.owed
        return finish(course, status, reason, now, error=error)

    return step


def finish(course: Course, status: str, reason: str, now: datetime, *, error: str = "") -> list[Frame]:
    """Come to rest: stop the clock, judge, and say that it ended. What rests already can only be terminated."""
    if course.status == IDLE:
        if status == IDLE:
            return []
        status = TERMINATED
    course.stop_clock(now)
    course.waiting_for = ""
    course.stop_reason = reason
    course.last_error = error or (course.last_error if status == FAILED else "")
    if status == IDLE and course.has_queued():
        return []  # the next message follows at once, so nothing has ended
    course.status, course.ended_at = status, now
    course.degradation_flagged = is_degraded(
        status,
        events=course.event_count,
        mcp_servers=course.mcp_server_count,
        mcp_tool_uses=course.mcp_tool_use_count,
    )
    payload = {
        "status": status,
        "stop_reason": reason,
        "event_count": course.event_count,
        "mcp_tool_use_count": course.mcp_tool_use_count,
        "degradation_flagged": course.degradation_flagged,
        "last_error": course.last_error,
    }
    return [Frame(f"powerloom.ended.{course.last_seq}", SESSION_ENDED, payload)]


def _running(course: Course, event: JSON, now: datetime) -> list[Frame]:
    course.status, course.ended_at, course.waiting_for = RUNNING, None, ""
    if course.stop_reason != EXPIRED:
        course.start_clock(now)
    return []


def _idle(course: Course, event: JSON, now: datetime) -> list[Frame]:
    reason = str((event.get("stop_reason") or {}).get("type", ""))
    if course.status == PENDING:
        course.status = RUNNING  # what has stopped has run
    if course.stop_reason == EXPIRED:
        return finish(course, TIMEOUT, EXPIRED, now, error=_too_long(course))
    if reason == "requires_action":
        course.stop_clock(now, keep=True)
        course.waiting_for = CONFIRMATION
        return []
    if reason == "retries_exhausted":
        return finish(course, FAILED, reason, now, error=course.last_error or "The runtime gave up after its retries.")
    return finish(course, IDLE, reason, now)


def _terminated(course: Course, event: JSON, now: datetime) -> list[Frame]:
    if course.stop_reason == EXPIRED:
        return finish(course, TIMEOUT, EXPIRED, now, error=_too_long(course))
    if course.stop_reason == TERMINAL:
        return finish(course, FAILED, TERMINAL, now, error=course.last_error)
    return finish(course, TERMINATED, "terminated", now)


def _deleted(course: Course, event: JSON, now: datetime) -> list[Frame]:
    return finish(course, TERMINATED, "deleted on the runtime", now)


def _error(course: Course, event: JSON, now: datetime) -> list[Frame]:
    error = event.get("error") or {}
    course.last_error = f"{error.get('type', 'error')}: {error.get('message', '')}"
    if (error.get("retry_status") or {}).get("type") == "terminal":
        course.stop_reason = TERMINAL
    return []


def _mcp_tool_use(course: Course, event: JSON, now: datetime) -> list[Frame]:
    course.mcp_tool_use_count += 1
    return []


def _too_long(course: Course) -> str:
    return f"The turn took longer than {course.max_duration} seconds."


REACTIONS: dict[str, React] = {
    "session.status_running": _running,
    "session.status_rescheduled": _running,
    "session.status_idle": _idle,
    "session.status_terminated": _terminated,
    "session.deleted": _deleted,
    "session.error": _error,
    "agent.mcp_tool_use": _mcp_tool_use,
}
