"""Writing what is observed: events, once each and dense by `seq`, and the state that follows from them, in one
transaction.

A batch of many sessions begins by locking those that still name their relay and epoch; only their events are inserted,
so a relay that was declared dead writes nothing. The rows are the truth: counts and numbers continue from what is
stored, never from memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import partial
from typing import Any  # columns
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from sessions import calls
from sessions.course import Course, Step
from sessions.degradation import diagnosis
from sessions.frames import Frame
from sessions.models import AgentSession, InputKind, SessionEvent, SessionInput
from sessions.servers import standings

COLUMNS = tuple(field.name for field in fields(Course) if field.name != "has_queued")
FENCE = ("pk", "relay_id", "relay_epoch", "deleted_at")
COUNTERS = frozenset({"event_count", "mcp_tool_use_count", "last_seq"})


@dataclass(frozen=True)
class Hold:
    """By what right a follower writes: the relay and the epoch that its session must still name.

    The epoch grows with every claim, so a relay that lost a session and got it back cannot be mistaken for the one it
    was before.
    """

    session_id: UUID
    relay_id: UUID
    epoch: int

    def rows(self) -> QuerySet[AgentSession]:
        """Return the session, as long as it is held."""
        return AgentSession.objects.filter(pk=self.session_id, relay_id=self.relay_id, relay_epoch=self.epoch)


@dataclass(frozen=True)
class Written:
    """What became of one session: its course, the frames stored by number, whether more than its counters changed."""

    course: Course
    frames: Sequence[tuple[int, Frame]]
    changed: bool


def record(batch: Mapping[Hold, Sequence[Step]]) -> dict[Hold, Written]:
    """Take the steps of many sessions in one transaction. Those that are held no longer are missing from the answer."""
    with transaction.atomic(durable=True):
        locked = _locked({hold.session_id for hold in batch})
        held = {_hold(row): row for row in locked if _hold(row) in batch and row["deleted_at"] is None}
        return _take(held, batch)


def write(session_id: UUID, steps: Sequence[Step]) -> Course:
    """Take steps of ours on one session, within the caller's transaction."""
    [row] = _locked([session_id])
    hold = _hold(row)
    return _take({hold: row}, {hold: steps})[hold].course


def course_of(hold: Hold) -> Course | None:
    """Return the course as stored, or None when the session is held no longer, or deleted."""
    row = _courses(hold.rows().filter(deleted_at__isnull=True)).first()
    return _course(row) if row else None


def stored_ids(session_id: UUID) -> set[str]:
    """Return the remote ids of all events that are stored."""
    return set(SessionEvent.objects.filter(session_id=session_id).values_list("remote_id", flat=True))


def _take(rows: Mapping[Hold, dict[str, Any]], batch: Mapping[Hold, Sequence[Step]]) -> dict[Hold, Written]:
    now = timezone.now()
    events: list[SessionEvent] = []
    written: dict[Hold, Written] = {}
    for hold, row in rows.items():
        course = _course(row)
        frames = _follow(course, batch[hold], now)
        events += [_event(hold.session_id, seq, frame, now) for seq, frame in frames]
        written[hold] = Written(course, frames, _save(hold.session_id, row, course, frames, now))
    SessionEvent.objects.bulk_create(events)
    _look_at_calls(written, now)
    return written


def _look_at_calls(written: Mapping[Hold, Written], now: datetime) -> None:
    """Have the calls that ask looked at where somebody is waited for now, and where nobody is any more."""
    asks = {hold.session_id for hold, found in written.items() if any(_asks(frame) for _, frame in found.frames)}
    if asks:
        AgentSession.objects.filter(pk__in=asks).update(asks_due_at=now)
    calls.look_again({hold.session_id for hold, found in written.items() if _may_settle(found)} - asks)


def _asks(frame: Frame) -> bool:
    reason = frame.payload.get("stop_reason") if frame.type == "session.status_idle" else None
    return isinstance(reason, dict) and reason.get("type") == "requires_action"


def _may_settle(found: Written) -> bool:
    is_at_rest = found.changed and found.course.is_at_rest
    return is_at_rest or any(frame.type == calls.ANSWER for _, frame in found.frames)


def _locked(ids: Collection[UUID]) -> Iterable[dict[str, Any]]:
    """Lock the sessions, always in the same order."""
    return _courses(AgentSession.objects.filter(pk__in=ids).select_for_update().order_by("pk"))


def _hold(row: dict[str, Any]) -> Hold:
    return Hold(row["pk"], row["relay_id"], row["relay_epoch"])


def _courses(rows: QuerySet[AgentSession]) -> QuerySet[AgentSession, dict[str, Any]]:
    found: QuerySet[AgentSession, dict[str, Any]] = rows.values(*FENCE, *COLUMNS)
    return found


def _course(row: dict[str, Any]) -> Course:
    columns = {name: value for name, value in row.items() if name not in FENCE}
    return Course(**columns, has_queued=partial(_has_queued, row["pk"]))


def _has_queued(session_id: UUID) -> bool:
    waiting = SessionInput.objects.filter(session=session_id, kind=InputKind.MESSAGE, refused="")
    return waiting.filter(attempted_at__isnull=True, sent_at__isnull=True).exists()


def _follow(course: Course, steps: Sequence[Step], now: datetime) -> list[tuple[int, Frame]]:
    frames = []
    for step in steps:
        new = step(course, now)
        frames += list(enumerate(new, course.last_seq + 1))
        course.last_seq += len(new)
    return frames


def _event(session_id: UUID, seq: int, frame: Frame, now: datetime) -> SessionEvent:
    return SessionEvent(
        session_id=session_id,
        seq=seq,
        remote_id=frame.remote_id,
        event_type=frame.type,
        payload=frame.payload,
        created_at=now,
    )


def _save(
    session_id: UUID, before: dict[str, Any], course: Course, frames: list[tuple[int, Frame]], now: datetime
) -> bool:
    """Write the columns that differ; tell whether more than the counters did."""
    columns = {name: getattr(course, name) for name in COLUMNS if getattr(course, name) != before[name]}
    if not columns:
        return False
    changed = not COUNTERS.issuperset(columns)
    if changed:
        columns["changed_at"] = now
    if "degradation_flagged" in columns:
        columns["degradation"] = _diagnosis(session_id, frames) if course.degradation_flagged else None
    AgentSession.objects.filter(pk=session_id).update(**columns)
    return changed


def _diagnosis(session_id: UUID, frames: list[tuple[int, Frame]]) -> dict[str, Any]:
    stored = SessionEvent.objects.filter(session_id=session_id, event_type="session.error")
    errors = [*stored.values_list("payload", flat=True), *(f.payload for _, f in frames if f.type == "session.error")]
    return diagnosis(standings(session_id), errors)
