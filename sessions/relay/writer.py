"""The one writer of a relay: whatever arrived while the last transaction was under way goes into the next.

No timer: a lone event is written at once, a flood in large batches. Steps of one session keep their order, always.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from uuid import UUID

from django.db import IntegrityError, InterfaceError, OperationalError

from powerloom.web.threads import DatabaseThread
from sessions import reader
from sessions.bells import ring_readers_soon
from sessions.course import Course, Step
from sessions.ingest import Hold, Written, record

log = logging.getLogger(__name__)

BATCH_STEPS = 500
MOST_WAITING = 5000  # then those who put have to wait
RETRY_SECONDS = 0.5

Outcome = asyncio.Future[Course | None]
Batch = dict[Hold, list[tuple[Step, Outcome]]]


class Writer:
    """`put` steps; `run` writes them. `on_written` hears of each session's course after each commit."""

    def __init__(self, on_written: Callable[[Hold, Course], None]) -> None:
        self._on_written = on_written
        self._thread = DatabaseThread("relay-writer")
        self._waiting: Batch = defaultdict(list)
        self._count = 0
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._bell = Bell()

    async def put(self, hold: Hold, step: Step) -> Outcome:
        """Queue a step. The future gives the course once it is stored, or None when the session is no longer ours."""
        await self._room.wait()
        outcome: Outcome = asyncio.get_running_loop().create_future()
        self._waiting[hold].append((step, outcome))
        self._count += 1
        self._work.set()
        if self._count >= MOST_WAITING:
            self._room.clear()
        return outcome

    async def run(self) -> None:
        """Write until cancelled; what is under way is finished first."""
        bell = asyncio.create_task(self._bell.run())
        try:
            while True:
                await self._work.wait()
                await asyncio.shield(self._write(self._next()))
        finally:
            bell.cancel()

    async def close(self) -> None:
        """Write what is left, and end the thread."""
        while self._count:
            await self._write(self._next())
        await self._thread.close()

    def _next(self) -> Batch:
        batch: Batch = {}
        taken = 0
        for hold in list(self._waiting):
            steps = self._waiting[hold]
            batch[hold] = steps[: BATCH_STEPS - taken]
            taken += len(batch[hold])
            del steps[: len(batch[hold])]
            if not steps:
                del self._waiting[hold]
            if taken >= BATCH_STEPS:
                break
        self._count -= taken
        if not self._count:
            self._work.clear()
        if self._count < MOST_WAITING:
            self._room.set()
        return batch

    async def _write(self, batch: Batch) -> None:
        written = await self._recorded({hold: [step for step, _ in steps] for hold, steps in batch.items()})
        self._bell.ring(written)
        for hold, steps in batch.items():
            found = written.get(hold)
            if found:
                reader.offer(hold.session_id, found.frames)
                self._on_written(hold, found.course)
            for _, outcome in steps:
                if not outcome.done():
                    outcome.set_result(found.course if found else None)

    async def _recorded(self, batch: dict[Hold, list[Step]]) -> dict[Hold, Written]:
        while True:
            try:
                return await self._thread.run(record, batch)
            except IntegrityError:
                return await self._one_by_one(batch)
            except (OperationalError, InterfaceError) as error:
                # The order of events allows no other choice than to try this very batch again.
                log.warning("The database does not take events now; trying again: %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _one_by_one(self, batch: dict[Hold, list[Step]]) -> dict[Hold, Written]:
        """One session disagrees with what is stored; find it, and leave it to its follower to start afresh."""
        written: dict[Hold, Written] = {}
        for hold, steps in batch.items():
            try:
                written |= await self._thread.run(record, {hold: steps})
            except IntegrityError:
                log.warning("Session %s is re-attached: an event of it was stored already", hold.session_id)
        return written


class Bell:
    """Rings the readers about what was written; while one ring is under way the next ones gather."""

    def __init__(self) -> None:
        self._events: set[UUID] = set()
        self._changed: set[UUID] = set()
        self._any = asyncio.Event()

    def ring(self, written: dict[Hold, Written]) -> None:
        self._events |= {hold.session_id for hold in written}
        self._changed |= {hold.session_id for hold, found in written.items() if found.changed}
        if written:
            self._any.set()

    async def run(self) -> None:
        while True:
            await self._any.wait()
            self._any.clear()
            events, self._events = self._events, set()
            changed, self._changed = self._changed, set()
            await ring_readers_soon(events=events, changed=changed)
