"""What a session did with its tools: each call with how long it took and how it ended, and the same by tool. Pure.

A call that asked counts from the yes: its time is the tool's, the wait is the person's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any  # payloads are JSON

from sessions.transcript import ANSWERS, CALLS, CONFIRMATION, EventRow, reference_of, tool_name


@dataclass(frozen=True)
class Called:
    """One call. `seconds` is None while nothing came back, `waited` None when nobody was asked."""

    seq: int
    tool: str
    seconds: float | None
    waited: float | None
    outcome: str  # answered, failed, denied, open


@dataclass(frozen=True)
class Use:
    """One tool over the whole session; `median` is of the calls that came back."""

    tool: str
    calls: int
    failures: int
    median: float | None


def calls(events: Sequence[EventRow]) -> list[Called]:
    """Return the calls among the events, in order."""
    answers = {reference_of(event): event for event in events if event.event_type in ANSWERS}
    said = {reference_of(event): event for event in events if event.event_type == CONFIRMATION}
    return [_called(event, answers, said) for event in events if event.event_type in CALLS]


def uses(called: Sequence[Called]) -> list[Use]:
    """Return the same by tool, the most used first."""
    found: dict[str, list[Called]] = {}
    for call in called:
        found.setdefault(call.tool, []).append(call)
    return sorted((_use(tool, of_it) for tool, of_it in found.items()), key=lambda use: (-use.calls, use.tool))


def _called(event: EventRow, answers: Mapping[str, EventRow], said: Mapping[str, EventRow]) -> Called:
    answer, word = answers.get(event.remote_id), said.get(event.remote_id)
    start = word.created_at if word else event.created_at
    payload: Mapping[str, Any] = word.payload if word else {}
    if payload.get("result") == "deny":
        outcome = "denied"
    elif answer is None:
        outcome = "open"
    else:
        outcome = "failed" if answer.payload.get("is_error") else "answered"
    seconds = max((answer.created_at - start).total_seconds(), 0.0) if answer and outcome != "denied" else None
    waited = max((word.created_at - event.created_at).total_seconds(), 0.0) if word else None
    return Called(event.seq, tool_name(event.payload), seconds, waited, outcome)


def _use(tool: str, called: Sequence[Called]) -> Use:
    times = [call.seconds for call in called if call.seconds is not None]
    failures = sum(call.outcome in {"failed", "denied"} for call in called)
    return Use(tool, len(called), failures, median(times) if times else None)
