"""One relay process: its membership, its followers, and what wakes them.

A bell tells of new work at once; a sweep a second finds what bells have missed. A relay that was declared dead (it
was stopped, or the database was away) drops everything and enlists anew.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from uuid import UUID

from django.conf import settings
from django.db import InterfaceError, OperationalError

from powerloom.web.threads import DatabaseThread
from sessions import bells
from sessions.course import Course
from sessions.ingest import Hold
from sessions.relay import claims, membership
from sessions.relay.accounts import Accounts
from sessions.relay.claims import Work
from sessions.relay.follower import Follower, Means
from sessions.relay.writer import Writer

log = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
RETRY_SECONDS = 1.0
TROUBLE = (OperationalError, InterfaceError)


class Dead(Exception):
    """Others have declared this relay dead."""


async def run(stop: asyncio.Event) -> None:
    """Relay until `stop` is set; then give every session back and return."""
    stopped = asyncio.create_task(stop.wait())
    relaying = asyncio.create_task(_for_ever())
    try:
        await asyncio.wait({stopped, relaying}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        relaying.cancel()
    with suppress(asyncio.CancelledError):
        await relaying


async def _for_ever() -> None:
    async with AsyncExitStack() as stack:
        if settings.EMBEDDED:
            await stack.enter_async_context(membership.sole_owner(settings.HOME))
        while True:
            try:
                await relay_once(alone=settings.EMBEDDED)
            except Dead:
                log.warning("This relay was declared dead; it begins anew")
            except TROUBLE as error:
                log.warning("The database does not answer the relay: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)


async def relay_once(*, alone: bool) -> None:
    """Enlist and relay until cancelled. Raises `Dead` when others have declared this relay dead."""
    desk = DatabaseThread("relay-desk")
    try:
        relay_id = await desk.run(membership.enlist, alone=alone)
        async with Accounts() as accounts:
            await Relaying(relay_id, accounts, desk).run()
    finally:
        await asyncio.shield(desk.close())


class Relaying:
    """The followers of one relay, from its enlisting to its end."""

    def __init__(self, relay_id: UUID, accounts: Accounts, desk: DatabaseThread) -> None:
        self._id = relay_id
        self._desk = desk
        self._writer = Writer(self._written)
        self._means = Means(accounts, self._writer, desk)
        self._followers: dict[UUID, Follower] = {}
        self._tasks: dict[UUID, asyncio.Task[None]] = {}
        self._sweep = asyncio.Event()

    async def run(self) -> None:
        """Relay until cancelled, or until a part fails; then leave in order."""
        parts = [asyncio.create_task(part()) for part in (self._beat, self._writer.run, self._listen, self._claim_work)]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        finally:
            await asyncio.shield(self._leave(parts))

    async def _leave(self, parts: list[asyncio.Task[None]]) -> None:
        tasks = [*parts, *self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._writer.close()
        with suppress(*TROUBLE):
            await self._desk.run(membership.leave, self._id)

    async def _beat(self) -> None:
        while True:
            if not await self._desk.run(membership.beat, self._id):
                raise Dead
            await asyncio.sleep(membership.BEAT_SECONDS)

    async def _listen(self) -> None:
        async for message in bells.heard(bells.RELAYS):
            for session_id in map(UUID, message["sessions"]):
                if session_id in self._followers:
                    self._followers[session_id].nudge(hurry=True)
            self._sweep.set()

    async def _claim_work(self) -> None:
        while True:
            self._sweep.clear()
            while await self._desk.run(claims.claim_some, self._id) == claims.BATCH:
                pass
            self._compare({work.hold.session_id: work for work in await self._desk.run(claims.mine, self._id)})
            with suppress(TimeoutError):
                async with asyncio.timeout(SWEEP_SECONDS):
                    await self._sweep.wait()

    def _compare(self, mine: dict[UUID, Work]) -> None:
        """Start followers for what has none, and tell the others what their bells may have missed."""
        for session_id, work in mine.items():
            follower = self._followers.get(session_id)
            if follower is None:
                self._start(work.hold)
            elif work.is_news or follower.hold != work.hold:
                follower.nudge()
        for session_id in self._tasks.keys() - mine.keys():
            self._followers[session_id].nudge()

    def _start(self, hold: Hold) -> None:
        follower = self._followers[hold.session_id] = Follower(hold, self._means)
        task = self._tasks[hold.session_id] = asyncio.create_task(follower.run())
        task.add_done_callback(lambda done: self._ended(hold.session_id, done))

    def _ended(self, session_id: UUID, task: asyncio.Task[None]) -> None:
        del self._followers[session_id], self._tasks[session_id]
        if task.cancelled():
            return
        if error := task.exception():
            log.error("The follower of session %s failed; the sweep starts another", session_id, exc_info=error)
        else:
            self._sweep.set()  # what came while it was on its way out found it still there

    def _written(self, hold: Hold, course: Course) -> None:
        follower = self._followers.get(hold.session_id)
        if follower is not None and follower.hold == hold:
            follower.written(course)
