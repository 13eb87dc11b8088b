"""Following a script: what each kind of step writes, and how long it takes.

A step and the turn's place in the script are committed together, so no step is written twice. Only a real call to an
MCP server may be made twice, when the server is killed between the call and its result.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime

from powerloom.cma.local.answers import denied, waiting_for
from powerloom.cma.local.ids import new_id, now
from powerloom.cma.local.journal import Journal, writing
from powerloom.cma.local.model import SCRIPTED
from powerloom.cma.local.rehearsal.conversation import EVENTS
from powerloom.cma.local.rehearsal.script import steps_after
from powerloom.cma.local.sse import Hub
from powerloom.cma.local.store import Store
from powerloom.cma.local.tools import call
from powerloom.cma.types import JSON

TEMPO = {"request": 0.3, "respond": 0.2, "settle": 0.0, "reschedule": 0.5, "resume": 2.0, "stop": 0.3, "terminate": 0.3}
"""How long a step takes, in units of the pace; those not named take one."""

PREVIEW_PARTS = 6
MOST_READ = 100_000  # messages and calls of one session


class Steps:
    """One task's way through one turn."""

    def __init__(self, store: Store, hub: Hub, session_id: str, plan: JSON, state: JSON, *, pace: float) -> None:
        self._store = store
        self._hub = hub
        self._id = session_id
        self._plan = plan
        self._steps: list[JSON] = plan["steps"]
        self._state = state
        self._pace = pace
        self._due = asyncio.get_running_loop().time()
        self._writers: dict[str, Callable[[Journal, JSON], None]] = {
            "request": self._request,
            "use": self._use,
            "respond": self._respond,
            "result": self._result,
            "reschedule": lambda journal, _: journal.rescheduled(),
            "resume": lambda journal, _: journal.running(),
            "wait": lambda _journal, _step: None,
            "stop": self._stop,
            "terminate": self._terminate,
        }

    async def follow(self) -> bool:
        """Take every step that is left. False when the turn waits for its client, or the session is over."""
        while self._state["at"] < len(self._steps):
            step = self._steps[self._state["at"]]
            if step["do"] == "settle" and self._wait_for_client(step):
                return False
            await self._take(step)
        return bool(self._steps[-1]["do"] != "terminate")

    async def _take(self, step: JSON) -> None:
        match step["do"]:
            case "emit":
                await self._emit(step)
            case "burst":
                await self._burst(step)
            case "mcp":
                await self._mcp(step)
            case "go_on":
                self._go_on(step)
            case "wait":
                await asyncio.sleep(step["seconds"])
                self._write(step)
            case do:
                await self._pause(TEMPO.get(do, 1.0) * self._pace)
                self._write(step)

    async def _pause(self, seconds: float) -> None:
        """Wait until `seconds` after the last step was due, so that a rate is kept however long writing takes."""
        moment = asyncio.get_running_loop().time()
        self._due = max(self._due + seconds, moment)
        await asyncio.sleep(self._due - moment)

    def _write(self, step: JSON) -> None:
        with writing(self._store, self._hub, self._id) as journal:
            if step["do"] != "settle":
                self._writers[step["do"]](journal, step)
            self._advance(step)
        if step["do"] == "terminate":
            self._hub.end(self._id)

    def _advance(self, step: JSON) -> None:
        self._state["at"] += 1
        if step["do"] in {"stop", "terminate"}:
            self._store.end_turn(self._id)
        else:
            self._store.set_turn_state(self._id, self._state)

    async def _emit(self, step: JSON) -> None:
        event_id = new_id("sevt")
        if self._hub.wants_previews(self._id, step["type"]):
            await self._preview(step, event_id)
        else:
            await self._pause(self._pace)
        with writing(self._store, self._hub, self._id) as journal:
            journal.emit(step["type"], id=event_id, **step["fields"])
            self._advance(step)

    async def _preview(self, step: JSON, event_id: str) -> None:
        """Show an event while it is made: its start, and for a message the text bit by bit."""
        kind = step["type"]
        self._hub.publish_preview(self._id, kind, {"type": "event_start", "event": {"type": kind, "id": event_id}})
        text = step["fields"]["content"][0]["text"] if kind == "agent.message" else ""
        size = -(-len(text) // PREVIEW_PARTS) or 1
        for start in range(0, len(text), size):
            await self._pause(self._pace / PREVIEW_PARTS)
            content = {"type": "text", "text": text[start : start + size]}
            delta = {"type": "content_delta", "index": 0, "content": content}
            self._hub.publish_preview(self._id, kind, {"type": "event_delta", "event_id": event_id, "delta": delta})

    async def _burst(self, step: JSON) -> None:
        every = self._pace if step["every"] is None else step["every"]
        while self._state["burst"] < step["count"]:
            await self._pause(every)
            with writing(self._store, self._hub, self._id) as journal:
                self._state["burst"] += 1
                text = f"{SCRIPTED} message {self._state['burst']} of {step['count']}"
                journal.emit("agent.message", content=[{"type": "text", "text": text}])
                self._store.set_turn_state(self._id, self._state)
        self._state["at"] += 1

    def _request(self, journal: Journal, _step: JSON) -> None:
        self._state["span"] = journal.emit("span.model_request_start")["id"]

    def _respond(self, journal: Journal, step: JSON) -> None:
        journal.emit(
            "span.model_request_end",
            model_request_start_id=self._state["span"],
            is_error=False,
            model_usage=step["usage"],
        )
        self._state["span"] = None
        total = self._state["usage"]
        for name, count in step["usage"].items():
            total[name] = total.get(name, 0) + count

    def _use(self, journal: Journal, step: JSON) -> None:
        event = journal.emit(step["type"], **step["fields"])
        self._state["calls"][step["key"]] = event["id"]
        if step["type"] == "agent.custom_tool_use" or step["fields"].get("evaluated_permission") == "ask":
            self._state["asks"].append(event["id"])

    def _wait_for_client(self, step: JSON) -> bool:
        """Go idle when calls need the client. The clock of active seconds stands meanwhile."""
        ids = waiting_for(step, self._state)
        if not ids:
            return False
        with writing(self._store, self._hub, self._id) as journal:
            self._state |= {"waiting": True, "active": _active(self._state)}
            journal.idle({"type": "requires_action", "event_ids": ids})
            self._store.set_turn_state(self._id, self._state)
        return True

    def _result(self, journal: Journal, step: JSON) -> None:
        tool_use = self._state["calls"][step["key"]]
        reason = denied(self._state, tool_use)
        content, failed = ([_text(step["text"])], False) if reason is None else ([_refused(reason)], True)
        journal.emit("agent.tool_result", tool_use_id=tool_use, content=content, is_error=failed)

    async def _mcp(self, step: JSON) -> None:
        tool_use = self._state["calls"][step["key"]]
        reason = denied(self._state, tool_use)
        if reason is None:
            session = self._store.get("session", self._id)
            assert session is not None, "a session that runs cannot be deleted"
            content, failed = await call(session, self._store, step["server"], step["name"], step["input"])
        else:
            content, failed = [_refused(reason)], True
        with writing(self._store, self._hub, self._id) as journal:
            journal.emit("agent.mcp_tool_result", mcp_tool_use_id=tool_use, content=content, is_error=failed)
            self._advance(step)

    def _go_on(self, step: JSON) -> None:
        at = self._state["at"]
        known = [(f"type IN ({', '.join('?' * len(EVENTS))}) AND at IS NOT NULL", EVENTS)]
        rows = self._store.events(self._id, limit=MOST_READ, after=None, ascending=True, where=known)
        self._steps[at + 1 : at + 1] = steps_after([json.loads(doc) for _, doc in rows], step, group=f"after-{at}")
        self._state["at"] = at + 1
        with self._store.transaction():
            self._store.start_turn(self._id, self._plan, self._state)

    def _stop(self, journal: Journal, step: JSON) -> None:
        details = None
        if step["reason"] == "refusal":
            details = {"type": "refusal", "category": None, "explanation": f"{SCRIPTED} The prompt asked for this."}
        closing = closing_fields(journal.session(), self._state)
        if step["reason"] == "retries_exhausted":
            self._flush(journal)
        journal.idle({"type": step["reason"]}, details, **closing)

    def _terminate(self, journal: Journal, _step: JSON) -> None:
        self._flush(journal)
        journal.terminated(**closing_fields(journal.session(), self._state))

    def _flush(self, journal: Journal) -> None:
        """A turn that died takes the inputs behind it along."""
        while (event := self._store.take_queued(self._id)) is not None:
            journal.process(event)


def closing_fields(session: JSON, state: JSON) -> JSON:
    """A session's statistics and usage once this turn is over."""
    active = session["stats"]["active_seconds"] + (state["active"] if state["waiting"] else _active(state))
    usage = dict(session["usage"])
    for name, count in state["usage"].items():
        if name in usage:
            usage[name] += count
    return {
        "stats": {"active_seconds": round(active, 3), "duration_seconds": _seconds_since(session["created_at"])},
        "usage": usage,
    }


def _active(state: JSON) -> float:
    return float(state["active"]) + _seconds_since(state["since"])


def _seconds_since(moment: str) -> float:
    return round(max(0.0, (datetime.fromisoformat(now()) - datetime.fromisoformat(moment)).total_seconds()), 3)


def _text(text: str) -> JSON:
    return {"type": "text", "text": text}


def _refused(reason: str) -> JSON:
    return _text(f"The user rejected this tool call: {reason}")
