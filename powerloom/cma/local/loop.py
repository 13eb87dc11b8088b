"""The engine: drives the turns of sessions, and takes in what clients send.

One task a running session. Where a turn stands is committed with every event it writes, so a server that was killed
goes on with the next step when it starts again. A turn that waits for its client has no task: the client's answer
starts one.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from powerloom.cma.local.answers import record, waiting_for
from powerloom.cma.local.bodies.base import Body
from powerloom.cma.local.bodies.content import text_of
from powerloom.cma.local.bodies.event import (
    UserCustomToolResult,
    UserInterrupt,
    UserToolConfirmation,
    event_wire,
)
from powerloom.cma.local.ids import now
from powerloom.cma.local.journal import Journal, writing
from powerloom.cma.local.model import script
from powerloom.cma.local.sse import Hub
from powerloom.cma.local.steps import Steps, closing_fields
from powerloom.cma.local.store import Store
from powerloom.cma.local.tools import discover
from powerloom.cma.types import JSON

log = logging.getLogger(__name__)

END_TURN = {"type": "end_turn"}


class Engine:
    """`pace` is the usual time between two events, in seconds; 0 is as fast as can be. `obeys` tells whether a test
    wants a model that believes everything it reads.
    """

    def __init__(self, store: Store, hub: Hub, *, pace: float, obeys: Callable[[], bool] = lambda: False) -> None:
        self._store = store
        self._hub = hub
        self._pace = pace
        self._obeys = obeys
        self._tasks: dict[str, asyncio.Task[None]] = {}

    # From routes

    def accept(self, session: JSON, events: Sequence[Body]) -> list[JSON]:
        """Queue a new session's first events, inside the caller's transaction."""
        journal = Journal(self._store, session["id"])
        return [journal.queue(wire.pop("type"), wire) for wire in map(event_wire, events)]

    def send(self, session_id: str, events: Sequence[Body]) -> list[JSON]:
        """Take in events that are already checked; gives them back as CMA echoes them."""
        echoes = [self._take_in(session_id, event) for event in events]
        self.wake(session_id)
        return echoes

    def _take_in(self, session_id: str, event: Body) -> JSON:
        match event:
            case UserInterrupt():
                return self._interrupt(session_id, event)
            case UserToolConfirmation() | UserCustomToolResult():
                return self._answer(session_id, event)
            case _:
                with writing(self._store, self._hub, session_id) as journal:
                    wire = event_wire(event)
                    return journal.queue(wire.pop("type"), wire)

    def update(self, session_id: str, changes: JSON) -> None:
        """Change a session and say so."""
        with writing(self._store, self._hub, session_id) as journal:
            journal.change(**changes)
            # Metadata cleared to nothing is not part of the event: that is how CMA does it.
            told = {name: value for name, value in changes.items() if not (name == "metadata" and not value)}
            journal.emit("session.updated", **told)

    def archive(self, session_id: str) -> None:
        """End a session that is at rest."""
        with writing(self._store, self._hub, session_id) as journal:
            self._store.end_turn(session_id)
            if journal.session()["status"] == "terminated":
                journal.change(archived_at=now())
            else:
                journal.terminated(archived_at=now())
        self._hub.end(session_id)

    def delete(self, session_id: str) -> None:
        """Remove a session that is at rest; those who listen are told."""
        with writing(self._store, self._hub, session_id) as journal:
            journal.emit("session.deleted")
            self._store.delete_session(session_id)
        self._hub.end(session_id)

    # Turns

    def resume(self) -> None:
        """Go on with everything that was under way when the server last stopped."""
        for session_id in self._store.sessions_to_resume():
            self.wake(session_id)

    def wake(self, session_id: str) -> None:
        """Start what there is to do, unless a task does it already or the client is waited for."""
        running = self._tasks.get(session_id)
        if running is not None and not running.done():
            return
        turn = self._store.turn(session_id)
        if turn is None and not self._begin(session_id):
            return
        if turn is not None and turn[1]["waiting"]:
            return
        task = asyncio.create_task(self._run(session_id))
        self._tasks[session_id] = task
        task.add_done_callback(lambda done: self._finished(session_id, done))

    async def stop(self) -> None:
        """Leave all turns where they stand."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, session_id: str) -> bool:
        """Take up queued input, before anyone can look: an accepted message is never seen on an idle session."""
        if self._store.next_queued(session_id) is None:
            return False
        prompt = None
        with writing(self._store, self._hub, session_id) as journal:
            # One message a turn, and the system message that goes with it.
            while prompt is None or self._store.next_queued(session_id) == "system.message":
                event = self._store.take_queued(session_id)
                if event is None:
                    break
                journal.process(event)
                if event["type"] == "user.message":
                    prompt = text_of(event["content"])
            if prompt is not None:
                journal.running()
                self._store.start_turn(session_id, {"prompt": prompt, "steps": None}, _fresh_state())
        return prompt is not None

    async def _run(self, session_id: str) -> None:
        going = True
        while going:
            turn = self._store.turn(session_id)
            assert turn is not None, "a task runs only while there is a turn"
            plan, state = turn
            if plan["steps"] is None:
                await self._write_script(session_id, plan, state)
            done = await Steps(self._store, self._hub, session_id, plan, state, pace=self._pace).follow()
            going = done and self._begin(session_id)

    async def _write_script(self, session_id: str, plan: JSON, state: JSON) -> None:
        session = self._store.get("session", session_id)
        assert session is not None, "a session that runs cannot be deleted"
        tools, troubles = await discover(session, self._store)
        turn = self._store.count_events(session_id, "user.message")
        plan["steps"] = script(plan["prompt"], session["agent"], turn=turn, mcp=tools, obeys=self._obeys())
        with writing(self._store, self._hub, session_id) as journal:
            for trouble in troubles:
                journal.emit("session.error", error=trouble)
            self._store.start_turn(session_id, plan, state)

    def _finished(self, session_id: str, task: asyncio.Task[None]) -> None:
        if self._tasks.get(session_id) is task:
            del self._tasks[session_id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the turn of %s failed", session_id, exc_info=error)
            self._give_up(session_id)
        if not task.cancelled():
            # What came in while the task was already on its way out found it still there.
            self.wake(session_id)

    def _give_up(self, session_id: str) -> None:
        """A defect of ours must not leave a session running for ever."""
        with writing(self._store, self._hub, session_id) as journal:
            message = "The local runtime failed on this turn; its log says why."
            journal.emit(
                "session.error",
                error={"type": "unknown_error", "message": message, "retry_status": {"type": "exhausted"}},
            )
            journal.idle({"type": "retries_exhausted"})
            self._store.end_turn(session_id)

    def _interrupt(self, session_id: str, event: UserInterrupt) -> JSON:
        """Stop the turn at once; without a turn nothing happens. Queued messages come next."""
        task = self._tasks.pop(session_id, None)
        if task is not None:
            task.cancel()
        turn = self._store.turn(session_id)
        wire = event_wire(event)
        with writing(self._store, self._hub, session_id) as journal:
            echo = journal.emit(wire.pop("type"), **wire)
            if turn is not None:
                _, state = turn
                if state["span"] is not None:
                    journal.emit("span.model_request_end", **_cut_request(state["span"]))
                journal.idle(END_TURN, **closing_fields(journal.session(), state))
                self._store.end_turn(session_id)
        return echo

    def _answer(self, session_id: str, event: UserToolConfirmation | UserCustomToolResult) -> JSON:
        """Note the client's answer to a call, and go on when it was the last one."""
        turn = self._store.turn(session_id)
        assert turn is not None, "answers are checked before they are sent here"
        plan, state = turn
        with writing(self._store, self._hub, session_id) as journal:
            wire = event_wire(event)
            echo = journal.emit(wire.pop("type"), **wire)
            record(state, event)
            if state["waiting"]:
                rest = waiting_for(plan["steps"][state["at"]], state)
                if rest:
                    journal.still_idle({"type": "requires_action", "event_ids": rest})
                else:
                    state |= {"waiting": False, "since": now()}
                    journal.running()
            self._store.set_turn_state(session_id, state)
        return echo


def _fresh_state() -> JSON:
    return {
        "at": 0,
        "burst": 0,
        "span": None,
        "calls": {},
        "asks": [],
        "answers": {},
        "waiting": False,
        "since": now(),
        "active": 0.0,
        "usage": {},
    }


def _cut_request(span: str) -> JSON:
    usage = {
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0,
    }
    return {"model_request_start_id": span, "is_error": False, "model_usage": usage}
