"""Following one session: make it on CMA, listen, send what is due, keep its time, until it comes to rest.

    stream first → list → dedupe → send what waits → store what comes → at rest
       ↑________________ cut, unavailable: again, ever more slowly ________|

Everything that must survive is a row before the next step depends on it; a follower may end at any line and another,
in this process or elsewhere, begins at the top.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any  # CMA's events

from django.utils import timezone

from powerloom.cma.client import CMA
from powerloom.cma.errors import AccountProblem, CMAError, Conflict, Missing, Rejected, Unavailable
from powerloom.web.threads import DatabaseThread
from sessions import course as steps
from sessions import session_vaults
from sessions.course import Course, Step
from sessions.frames import Frame
from sessions.ingest import Hold, course_of, stored_ids
from sessions.models import Owed
from sessions.relay import endings, inputs, launch
from sessions.relay.accounts import Accounts
from sessions.relay.backoff import Backoff
from sessions.relay.inputs import Input
from sessions.relay.launch import Plan
from sessions.relay.writer import Writer

JSON = dict[str, Any]

INTERRUPT_GRACE = 5.0  # seconds for CMA to stop a turn whose time is up
TERMINAL_GRACE = 2.0  # seconds for CMA to terminate a session that it has said to be lost
OWED_PAUSE = 0.5


class Lost(Exception):
    """The session is no longer ours: another relay has it, or it was deleted."""


@dataclass(frozen=True)
class Means:
    """What all followers of a relay share."""

    accounts: Accounts
    writer: Writer
    desk: DatabaseThread


class Follower:
    """One session's follower. `nudge` tells it that rows changed; `written` what the writer has stored."""

    def __init__(self, hold: Hold, means: Means) -> None:
        self.hold = hold
        self._id = hold.session_id
        self._accounts, self._writer, self._desk = means.accounts, means.writer, means.desk
        self._cma: CMA
        self._course: Course | None = None
        self._wake = asyncio.Event()
        self._nudged = asyncio.Event()
        self._hurry = asyncio.Event()
        self._lost = False
        self._limit: float | None = None  # loop time at which the turn, or a grace, is over
        self._seen: set[str] = set()
        self._backoff = Backoff()
        self._told = ""

    def nudge(self, *, hurry: bool = False) -> None:
        """Somebody wrote to, closed or deleted this session, perhaps; with `hurry` just now, so no pause is kept."""
        self._nudged.set()
        self._wake.set()
        if hurry:
            self._hurry.set()

    def written(self, course: Course) -> None:
        """Take over the course as it was stored."""
        before, self._course = self._course, course
        if before is None or _moved(before, course):
            self._limit = self._limit_of(course)
            self._wake.set()

    async def run(self) -> None:
        """Follow to the end."""
        while True:
            try:
                if await self._follow():
                    return
            except Lost:
                return
            except (Unavailable, AccountProblem) as error:
                wait = self._backoff.after(error)
                if self._backoff.is_worth_words:
                    await self._tell(f"The runtime does not take this now ({error}). Trying again.")
                await self._pause(wait)
            except (Rejected, Missing, Conflict) as error:
                await self._give_up(error)

    # From the top: what there is to do

    async def _follow(self) -> bool:
        """Do the next thing as the rows say. True when there is nothing left to do."""
        self._nudged.clear()
        plan = await self._desk.run(launch.plan_of, self.hold)
        if plan is None:
            return True
        self._cma = self._accounts.client_of(plan.organization_id)
        if plan.owed:
            await self._settle(plan)
            return False
        course = await self._desk.run(course_of, self.hold)
        if course is None:
            return True
        self.written(course)
        if course.is_at_rest:
            return await self._leave_in_order(plan, course)
        remote_id, is_fresh = await self._launched(plan)
        async with self._cma.events.stream(remote_id) as events:
            if not is_fresh:
                await self._catch_up(remote_id)
            await self._tell("")
            await self._attend(remote_id, events)
        return False

    async def _leave_in_order(self, plan: Plan, course: Course) -> bool:
        """See to the inputs that are left at rest. False when one of them sets the session going again."""
        if course.is_over:
            await self._desk.run(inputs.refuse_rest, self._id, f"The session is over ({course.status}).")
            return True
        if await self._desk.run(inputs.unsent, self._id):
            await self._settle_doubts([event async for event in self._listed(plan.cma_session_id)])
        left = await self._desk.run(inputs.unsent, self._id)
        for one in left:
            if not one.waits_for_the_turn:
                await self._desk.run(inputs.refuse, one.id, "The turn had ended already.")
        if any(one.waits_for_the_turn for one in left):
            await self._stored(steps.wake)
            return False
        return True

    async def _launched(self, plan: Plan) -> tuple[str, bool]:
        """Return CMA's id of the session, and whether it was made this very moment, so that nothing has happened in
        it.
        """
        if plan.cma_session_id:
            return plan.cma_session_id, False
        if plan.create_attempted_at and (adopted := await launch.adopt(self._cma, plan)):
            await self._stored(steps.create(adopted))
            return adopted, False
        own_vault_id = await session_vaults.prepared(self._cma, self._desk, self._id) if plan.is_delegated else ""
        if not await self._desk.run(launch.note_attempt, self.hold):
            raise Lost
        try:
            made = await self._cma.sessions.create(plan.body(own_vault_id))
        except (Rejected, Missing, Conflict):
            await self._desk.run(launch.forget_attempt, self._id)
            if changed := await self._desk.run(launch.with_vault_of_now, self.hold, plan):
                return await self._launched(replace(changed, create_attempted_at=None))
            raise
        await self._stored(steps.create(made["id"]))
        return made["id"], True

    async def _settle(self, plan: Plan) -> None:
        """Tell CMA of an end; look for the session first when its create may have been lost."""
        remote_id = plan.cma_session_id
        if not remote_id and plan.create_attempted_at:
            remote_id = await launch.adopt(self._cma, plan) or ""
        if remote_id and not await endings.settle(self._cma, remote_id, plan.owed):
            await asyncio.sleep(OWED_PAUSE)  # it was told to stop; only CMA knows when it has
            return
        await self._desk.run(endings.settled, self._id, plan.owed)

    # Attached: listen, send, keep time

    async def _catch_up(self, remote_id: str) -> None:
        """Store what happened while nobody listened. The stream is open already, so nothing falls between."""
        known = await self._desk.run(stored_ids, self._id)
        listed = [event async for event in self._listed(remote_id)]
        for event in listed:
            if event.get("processed_at") and event["id"] not in known:
                await self._store(steps.observe(event))
        self._seen = known | {event["id"] for event in listed if event.get("processed_at")}
        await self._settle_doubts(listed)
        await self._fresh_course()

    async def _attend(self, remote_id: str, events: AsyncIterator[JSON]) -> None:
        """Stay with a session until it is at rest."""
        reader = asyncio.create_task(self._read(events))
        try:
            while not self._at_rest():
                if self._nudged.is_set():
                    self._nudged.clear()
                    await self._fresh_course()
                    continue
                await self._send_due(remote_id)
                if not await self._something(reader):
                    await self._out_of_time(remote_id)
                if reader.done():
                    reader.result()
                    await self._fresh_course()
                    if not self._at_rest():
                        raise Unavailable("the event stream ended", type="stream_ended")
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError, CMAError):
                await reader

    async def _read(self, events: AsyncIterator[JSON]) -> None:
        async for event in events:
            if not event.get("processed_at") or event["id"] in self._seen:
                continue
            self._seen = set()  # from here on everything on this stream is new
            self._backoff.reset()
            await self._store(steps.observe(event))

    async def _something(self, reader: asyncio.Task[None]) -> bool:
        """Wait for a wake, or for the end of the stream. False when the time was up first."""
        now = asyncio.get_running_loop().time()
        left = None if self._limit is None else max(0.0, self._limit - now)
        wake = asyncio.create_task(self._wake.wait())
        try:
            done, _ = await asyncio.wait({reader, wake}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            wake.cancel()
        self._wake.clear()
        if self._lost:
            raise Lost
        return bool(done)

    async def _out_of_time(self, remote_id: str) -> None:
        """First ask CMA to stop; when that does not help in time, it is over without CMA's word."""
        course = self._known()
        if course.stop_reason == steps.TERMINAL:
            await self._stored(steps.end(steps.FAILED, reason=steps.TERMINAL, error=course.last_error))
        elif course.stop_reason == steps.EXPIRED:
            words = f"The turn took longer than {course.max_duration} seconds."
            await self._stored(steps.end(steps.TIMEOUT, reason=steps.EXPIRED, error=words, owed=Owed.INTERRUPT))
        else:
            await self._stored(steps.expire)
            with suppress(CMAError, TimeoutError):
                async with asyncio.timeout(INTERRUPT_GRACE):
                    await self._cma.events.send(remote_id, [endings.INTERRUPT])

    # Inputs

    async def _send_due(self, remote_id: str) -> None:
        waiting = await self._desk.run(inputs.unsent, self._id)
        while (one := inputs.due(waiting, in_turn=self._known().in_turn)) and not self._at_rest():
            await self._send(remote_id, one)
            waiting.remove(one)

    async def _settle_doubts(self, listed: list[JSON]) -> None:
        """Inputs whose answer was lost are among the session's events, or CMA never got them and their turn never
        began.
        """
        for one in await self._desk.run(inputs.unsent, self._id):
            if one.attempted_at is None:
                continue
            remote_id = inputs.found(one, listed, await self._desk.run(inputs.sent_ids, self._id))
            if remote_id is not None:
                await self._desk.run(inputs.sent, one.id, remote_id)
            else:
                await self._withdraw(one)

    async def _send(self, remote_id: str, one: Input) -> None:
        if not await self._desk.run(inputs.attempt, self.hold, one.id):
            raise Lost
        if one.waits_for_the_turn:
            await self._stored(steps.begin_turn)
        try:
            [echo] = await self._cma.events.send(remote_id, [one.event])
        except Unavailable as error:
            if not error.answer_lost:
                await self._withdraw(one)
            raise
        except (Rejected, Conflict) as error:
            await self._refused(one, error)
        else:
            await self._desk.run(inputs.sent, one.id, echo["id"])

    async def _withdraw(self, one: Input) -> None:
        await self._desk.run(inputs.withdraw, one.id)
        if one.waits_for_the_turn:
            await self._stored(steps.withdraw_turn)

    async def _refused(self, one: Input, error: CMAError) -> None:
        words = f"The runtime refused the {one.kind}: {error}"
        await self._desk.run(inputs.refuse, one.id, words)
        if one.waits_for_the_turn:
            status = steps.IDLE if self._known().event_count else steps.FAILED
            await self._stored(steps.end(status, reason="refused", error=words))

    # Small parts

    async def _store(self, step: Step) -> None:
        """Have a step written; whether it was is learned later."""
        outcome = await self._writer.put(self.hold, step)
        outcome.add_done_callback(self._note_outcome)

    async def _stored(self, *several: Step) -> Course:
        """Have steps written, and wait for it. Raises `Lost` when the session is not ours any more."""
        course: Course | None = None
        for step in several:
            course = await (await self._writer.put(self.hold, step))
            if course is None:
                raise Lost
        assert course is not None
        return course

    async def _fresh_course(self) -> Course:
        """Return the course after everything that was put so far, as the row has it now."""
        return await self._stored(_nothing)

    def _note_outcome(self, outcome: asyncio.Future[Course | None]) -> None:
        if not outcome.cancelled() and outcome.result() is None:
            self._lost = True
            self._wake.set()

    async def _listed(self, remote_id: str) -> AsyncIterator[JSON]:
        page = None
        while True:
            found = await self._cma.events.list(remote_id, page=page)
            for event in found.data:
                yield event
            page = found.next_page
            if page is None:
                return

    async def _tell(self, words: str) -> None:
        """Say on the session what keeps us from the runtime; "" when nothing does any more."""
        if self._told != words and self._course is not None and not self._course.is_at_rest:
            self._told = words
            await self._put_safely(steps.stall(words))

    async def _give_up(self, error: CMAError) -> None:
        """CMA will never do what we ask."""
        plan = await self._desk.run(launch.plan_of, self.hold)
        if plan is not None and plan.owed:
            await self._desk.run(endings.settled, self._id, plan.owed)
        await self._put_safely(steps.end(steps.FAILED, reason="refused", error=f"The runtime refused: {error}"))

    async def _put_safely(self, step: Step) -> None:
        with suppress(Lost):
            await self._stored(step)

    async def _pause(self, seconds: float) -> None:
        """Wait, unless somebody acts on this session just now."""
        self._hurry.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def _known(self) -> Course:
        assert self._course is not None, "a course is loaded before anything else"
        return self._course

    def _at_rest(self) -> bool:
        return self._known().is_at_rest

    def _limit_of(self, course: Course) -> float | None:
        now = asyncio.get_running_loop().time()
        if course.is_at_rest:
            return None
        if course.stop_reason == steps.TERMINAL:
            return now + TERMINAL_GRACE
        if course.stop_reason == steps.EXPIRED:
            return now + INTERRUPT_GRACE
        if course.deadline_at is None:
            return None
        left = (course.deadline_at - timezone.now()).total_seconds()
        return now + min(max(left, 0.0), float(course.max_duration))


def _moved(before: Course, after: Course) -> bool:
    return (before.status, before.deadline_at, before.stop_reason, before.in_turn) != (
        after.status,
        after.deadline_at,
        after.stop_reason,
        after.in_turn,
    )


def _nothing(course: Course, now: object) -> list[Frame]:
    return []
