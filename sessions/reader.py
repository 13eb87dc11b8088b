"""One reader per process: serves everybody here who follows a session, all that are behind in one query a round.

    a bell, or a sweep a second   →  states of the sessions asked about  →  followers told
    followers that are behind     →  their next events in one query      →  frames handed over
    a relay in this process wrote →  those who wait for just that        →  handed over without a query

A bell is only a hint. The cursor of each follower says what it has; numbers are dense, so nothing is left out and
nothing comes twice. Rights are asked again every few seconds, and at once when anybody's rights in the organization
changed.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from uuid import UUID
from weakref import WeakKeyDictionary

from django.db import InterfaceError, OperationalError
from django.db.models import Q, TextField
from django.db.models.functions import Cast

from accounts.models import AccessEpoch
from powerloom.kernel.refs import Actor
from powerloom.web.threads import DatabaseThread
from sessions import bells
from sessions.course import AT_REST
from sessions.frames import JSON, SESSION_ENDED, Frame
from sessions.models import AgentSession, SessionEvent
from sessions.queries import still_visible

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
RIGHTS_SECONDS = 5.0
WINDOW = 200  # events of one session a round
SESSIONS_A_ROUND = 50
IDS_A_QUERY = 500
TROUBLE = (OperationalError, InterfaceError)


@dataclass(frozen=True)
class State:
    """What followers need to know of a session besides its events."""

    status: str
    last_seq: int
    viewer_epoch: int
    waiting_for: str = ""

    @property
    def is_at_rest(self) -> bool:
        return self.status in AT_REST


@dataclass(frozen=True)
class Line:
    """One event, ready to be sent; a payload that was read is JSON text."""

    seq: int
    type: str
    payload: JSON | str


class Follower(ABC):
    """Somebody who follows one session. `cursor` is the last event it has, None when it wants none; `actor` whose
    rights count; `session_key` the console session by which it came.
    """

    def __init__(
        self, session_id: UUID, *, actor: Actor | None = None, cursor: int | None = None, session_key: str = ""
    ) -> None:
        self.session_id = session_id
        self.actor = actor
        self.session_key = session_key
        self.cursor = cursor

    @abstractmethod
    async def hear(self, state: State | None) -> None:
        """The session's state was read; None when it is deleted."""

    async def take(self, lines: Sequence[Line]) -> None:  # noqa: B027  those without a cursor are never asked
        """The next events, in order."""

    async def lose(self) -> None:  # noqa: B027  those without an actor are never asked
        """The actor may not see the session any more."""

    async def sign_out(self) -> None:  # noqa: B027  those without an actor are never asked
        """What the actor came with is over: its sign-in, its token, its account."""


class Reader:
    """The reader of one event loop; it runs while anybody follows."""

    def __init__(self) -> None:
        self._followers: defaultdict[UUID, set[Follower]] = defaultdict(set)
        self._behind: dict[Follower, None] = {}  # in the order in which they fell behind
        self._asked: set[UUID] = set()
        self._offered: defaultdict[UUID, list[Line]] = defaultdict(list)
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._next_sweep = self._next_rights = 0.0
        self._epochs: dict[UUID, int] = {}
        self._thread = DatabaseThread("sessions-reader")

    def add(self, follower: Follower) -> None:
        """Serve a follower from its cursor on."""
        self._followers[follower.session_id].add(follower)
        self._asked.add(follower.session_id)
        if follower.cursor is not None:
            self._behind[follower] = None
        self._wake.set()
        if self._task is None or self._task.done():
            self._thread = DatabaseThread("sessions-reader")
            self._task = asyncio.create_task(self._run())

    def remove(self, follower: Follower) -> None:
        """Forget a follower."""
        self._followers[follower.session_id].discard(follower)
        if not self._followers[follower.session_id]:
            del self._followers[follower.session_id]
        self._behind.pop(follower, None)
        self._wake.set()

    def offer(self, session_id: UUID, lines: Iterable[Line]) -> None:
        """Take events that were committed this moment; who waits for just these needs no query."""
        if session_id in self._followers:
            self._offered[session_id] += lines
            self._wake.set()

    async def _run(self) -> None:
        listening = asyncio.create_task(self._listen())
        try:
            while self._followers:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._time_left()):
                        await self._wake.wait()
                self._wake.clear()
                try:
                    await self._round()
                except TROUBLE as error:
                    log.warning("The database does not answer the sockets' reader: %s", type(error).__name__)
                    await asyncio.sleep(SWEEP_SECONDS)
        finally:
            listening.cancel()
            self._task = None
            await asyncio.shield(self._thread.close())

    def _time_left(self) -> float:
        return max(0.0, self._next_sweep - asyncio.get_running_loop().time())

    async def _listen(self) -> None:
        async for message in bells.heard(bells.READERS):
            if message["origin"] != bells.ORIGIN:
                for session_id in map(UUID, message["events"]):
                    self._behind.update((one, None) for one in self._served(session_id) if one.cursor is not None)
            self._asked |= {UUID(text) for text in message["changed"]} & self._followers.keys()
            if self._behind or self._asked:
                self._wake.set()

    async def _round(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_SECONDS
            self._asked |= self._followers.keys()
            await self._check_rights(now)
        if self._offered:
            await self._hand_over_offered()
        if self._behind:
            await self._hand_over()
        if self._asked:
            await self._tell()
        if self._behind or self._asked:
            self._wake.set()

    # Events

    async def _hand_over(self) -> None:
        round_ = self._next_round()
        wanted = {(one.session_id, one.cursor) for one in round_ if one.cursor is not None}
        lines = await self._thread.run(next_lines, wanted)
        for follower in round_:
            found = lines.get((follower.session_id, follower.cursor or 0), [])
            if len(found) < WINDOW:
                self._behind.pop(follower, None)
            if found:
                await self._give(follower, found)

    async def _hand_over_offered(self) -> None:
        offered, self._offered = self._offered, defaultdict(list)
        for session_id, lines in offered.items():
            for follower in list(self._served(session_id)):
                if follower.cursor is None:
                    continue
                news = [line for line in lines if line.seq > follower.cursor]
                if news and news[0].seq == follower.cursor + 1:
                    await self._give(follower, news)
                elif news:
                    self._behind[follower] = None

    async def _give(self, follower: Follower, lines: Sequence[Line]) -> None:
        if follower not in self._served(follower.session_id):
            return
        follower.cursor = lines[-1].seq
        await follower.take(lines)
        if lines[-1].type == SESSION_ENDED:
            self._asked.add(follower.session_id)

    def _next_round(self) -> list[Follower]:
        round_: list[Follower] = []
        sessions: set[UUID] = set()
        for follower in self._behind:
            sessions.add(follower.session_id)
            if len(sessions) > SESSIONS_A_ROUND:
                break
            round_.append(follower)
        return round_

    # States

    async def _tell(self) -> None:
        asked, self._asked = self._asked, set()
        ids = list(asked)
        for start in range(0, len(ids), IDS_A_QUERY):
            some = ids[start : start + IDS_A_QUERY]
            states = await self._thread.run(states_of, some)
            for session_id in some:
                for follower in list(self._served(session_id)):
                    await self._tell_one(follower, states.get(session_id))

    async def _tell_one(self, follower: Follower, state: State | None) -> None:
        if state and follower.cursor is not None and follower.cursor < state.last_seq:
            self._behind[follower] = None
        await follower.hear(state)

    # Rights

    async def _check_rights(self, now: float) -> None:
        watched = [one for served in self._followers.values() for one in served if one.actor is not None]
        if not watched:
            return
        epochs = await self._thread.run(epochs_of, {_organization(one) for one in watched})
        changed = {id_ for id_, number in epochs.items() if self._epochs.get(id_, number) != number}
        everybody = now >= self._next_rights
        if everybody:
            self._next_rights = now + RIGHTS_SECONDS
        self._epochs = epochs
        for (actor, session_key), followers in _by_viewer(watched).items():
            if everybody or actor.organization_id in changed:
                ids = {one.session_id for one in followers}
                await _part(followers, await self._thread.run(still_visible, actor, ids, session_key))

    def _served(self, session_id: UUID) -> set[Follower]:
        return self._followers.get(session_id, set())


_readers: WeakKeyDictionary[asyncio.AbstractEventLoop, Reader] = WeakKeyDictionary()


def reader() -> Reader:
    """Return the reader of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _readers:
        _readers[loop] = Reader()
    return _readers[loop]


def offer(session_id: UUID, frames: Iterable[tuple[int, Frame]]) -> None:
    """Tell the reader of this loop, if there is one, what was committed here this moment."""
    found = _readers.get(asyncio.get_running_loop())
    if found is not None:
        found.offer(session_id, (Line(seq, frame.type, frame.payload) for seq, frame in frames))


def next_lines(wanted: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], list[Line]]:
    """Return for each (session, cursor) the events that follow, at most `WINDOW`; one query for all."""
    places = Q()
    for session_id, cursor in wanted:
        places |= Q(session_id=session_id, seq__gt=cursor, seq__lte=cursor + WINDOW)
    rows = SessionEvent.objects.filter(places).order_by("session_id", "seq")
    found: defaultdict[UUID, list[Line]] = defaultdict(list)
    for session_id, seq, kind, payload in rows.values_list(
        "session_id", "seq", "event_type", Cast("payload", TextField())
    ):
        found[session_id].append(Line(seq, kind, payload))
    return {
        (session_id, cursor): [line for line in found[session_id] if cursor < line.seq <= cursor + WINDOW]
        for session_id, cursor in wanted
    }


def states_of(ids: Iterable[UUID]) -> dict[UUID, State]:
    """Return the states of sessions that are not deleted."""
    rows = AgentSession.objects.filter(pk__in=list(ids), deleted_at__isnull=True)
    found = rows.values_list("pk", "status", "last_seq", "viewer_epoch", "waiting_for")
    return {id_: State(status, last_seq, epoch, waiting) for id_, status, last_seq, epoch, waiting in found}


def epochs_of(organizations: Iterable[UUID]) -> dict[UUID, int]:
    """Return the access epoch of each organization."""
    return dict(AccessEpoch.objects.filter(pk__in=list(organizations)).values_list("pk", "number"))


def _by_viewer(followers: Iterable[Follower]) -> dict[tuple[Actor, str], list[Follower]]:
    """Group followers by whose rights count and how it came; one person with many sockets is asked about once."""
    groups: defaultdict[tuple[Actor, str], list[Follower]] = defaultdict(list)
    for follower in followers:
        assert follower.actor is not None, "only those with an actor are asked"
        groups[replace(follower.actor, request_id="", address=""), follower.session_key].append(follower)
    return groups


async def _part(followers: Iterable[Follower], seen: set[UUID] | None) -> None:
    """Tell those who may not follow any more."""
    for follower in followers:
        if seen is None:
            await follower.sign_out()
        elif follower.session_id not in seen:
            await follower.lose()


def _organization(follower: Follower) -> UUID:
    assert follower.actor is not None, "only those with an actor are asked"
    assert follower.actor.organization_id is not None, "who sees a session belongs to an organization"
    return follower.actor.organization_id
