"""A session at a glance: what happened on one line of time, in lanes: what was said, tools, approvals, denials. Pure.

Events are as far apart as they were in time; a long wait is shortened, for every lane alike.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, pairwise
from statistics import median

LONG_WAIT = 10  # times the usual gap
WIDTH = 1000  # of the drawing, in its own units
TONES = {"user.": "held", "session.error": "bad", "agent.message": "ok", "agent.": "busy"}
TALK, TOOLS, APPROVALS, DENIALS = "Talk", "Tools", "Approvals", "Denied by policy"
QUIET_PREFIXES = ("span.", "session.usage", "session.thread_status")
ANSWERS = {"allow": "ok", "deny": "bad"}

Moment = tuple[int, str, datetime]  # number, type, time of an event


@dataclass(frozen=True)
class Mark:
    """Something in a lane that is no event's own type: a call that asks, an answer, a denial. `seq` is 0 where no event
    stands for it.
    """

    lane: str
    at: datetime
    tone: str
    words: str
    seq: int = 0


@dataclass(frozen=True)
class Tick:
    """One place on a line."""

    seq: int
    words: str
    x: float
    tone: str


@dataclass(frozen=True)
class Lane:
    """One line of the minimap."""

    name: str
    ticks: list[Tick]


def lanes(events: Sequence[Moment], marks: Iterable[Mark] = ()) -> list[Lane]:
    """Return the lanes of events that are in order, and of what else happened meanwhile; those without a tick are left
    out.
    """
    scale = Scale([at for _, _, at in events])
    found: dict[str, list[Tick]] = {name: [] for name in (TALK, TOOLS, APPROVALS, DENIALS)}
    for seq, kind, at in events:
        if not kind.startswith(QUIET_PREFIXES):
            found[_lane(kind)].append(Tick(seq, kind, scale.place(at), tone(kind, TONES.items())))
    for mark in marks:
        found[mark.lane].append(Tick(mark.seq, mark.words, scale.place(mark.at), mark.tone))
    return [Lane(name, placed) for name, placed in found.items() if placed]


class Scale:
    """Where a moment lies on the line."""

    def __init__(self, times: Sequence[datetime]) -> None:
        self._times = times
        self._places = list(accumulate(_gaps(times), initial=0.0))
        self._length = self._places[-1] or 1.0

    def place(self, at: datetime) -> float:
        """Return the place, 0 to `WIDTH`; between two events by its share of their gap."""
        after = bisect_right(self._times, at)
        if after == 0:
            return 0.0
        place = self._places[after - 1]
        if after < len(self._times):
            gap = (self._times[after] - self._times[after - 1]).total_seconds()
            share = (at - self._times[after - 1]).total_seconds() / gap if gap > 0 else 0.0
            place += share * (self._places[after] - place)
        return round(place / self._length * WIDTH, 1)


def _lane(kind: str) -> str:
    return TOOLS if (kind.startswith("agent.") and "tool" in kind) or kind.endswith("tool_result") else TALK


def _gaps(times: Sequence[datetime]) -> list[float]:
    """Return the seconds between events; a long wait (for a person, for the next message) is shortened."""
    gaps = [max((after - before).total_seconds(), 0.0) for before, after in pairwise(times)]
    longest = LONG_WAIT * median(gaps) if gaps else 0.0
    return [min(gap, longest) for gap in gaps] if longest else gaps


def tone(kind: str, tones: Iterable[tuple[str, str]]) -> str:
    """Return the tone of an event's type: the first of the table that it begins with."""
    return next((shown for prefix, shown in tones if kind.startswith(prefix)), "off")
