"""A session at a glance: one tick for each of its latest events along a line, as far apart as they were in time.
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from statistics import median

LONG_WAIT = 10  # times the usual gap
WIDTH = 1000  # of the drawing, in its own units
TONES = {"user.": "held", "session.error": "bad", "agent.message": "ok", "agent.": "busy"}


@dataclass(frozen=True)
class Tick:
    """One event's place on the line."""

    seq: int
    event_type: str
    x: float
    tone: str


def ticks(events: Sequence[tuple[int, str, datetime]]) -> list[Tick]:
    """Return the ticks of events (number, type, time) that are in order."""
    if not events:
        return []
    places = list(accumulate(_gaps([at for _, _, at in events]), initial=0.0))
    length = places[-1] or 1.0
    return [
        Tick(seq, kind, round(place / length * WIDTH, 1), tone(kind, TONES.items()))
        for (seq, kind, _), place in zip(events, places, strict=True)
    ]


def _gaps(times: Sequence[datetime]) -> list[float]:
    """Return the seconds between events; a long wait (for a person, for the next message) is shortened."""
    gaps = [max((after - before).total_seconds(), 0.0) for before, after in pairwise(times)]
    longest = LONG_WAIT * median(gaps) if gaps else 0.0
    return [min(gap, longest) for gap in gaps] if longest else gaps


def tone(kind: str, tones: Iterable[tuple[str, str]]) -> str:
    """Return the tone of an event's type: the first of the table that it begins with."""
    return next((shown for prefix, shown in tones if kind.startswith(prefix)), "off")
