"""A session's events as people read them: turns, each with what was said, done and answered. Pure: rows in, values out.

Live and replayed transcripts are made here alike. A tool's result is shown inside its call, so a batch that brings
only the result brings the call again, under the same id; whoever draws it replaces what has that id.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Literal, Protocol  # Any: payloads are CMA's JSON

Kind = Literal["person", "agent", "call", "quiet", "error", "raw"]

CALLS = frozenset({"agent.tool_use", "agent.mcp_tool_use", "agent.custom_tool_use"})
ANSWERS = {
    "agent.tool_result": "tool_use_id",
    "agent.mcp_tool_result": "mcp_tool_use_id",
    "user.tool_result": "tool_use_id",
    "user.custom_tool_result": "custom_tool_use_id",
}
ENDED = "powerloom.session_ended"
CONFIRMATION = "user.tool_confirmation"
REFERENCES = ANSWERS | {CONFIRMATION: "tool_use_id"}
TURN = "user.message"
UNSHOWN_PREFIXES = ("span.", "session.thread_status", "session.usage", "workflow_run.")
QUIET_WORDS = {
    "agent.thinking": "Thinking",
    "agent.thread_context_compacted": "Context compacted",
    "powerloom.session_created": "Session created on the runtime",
    "session.status_rescheduled": "Rescheduled",
    "session.status_running": "Running",
    "session.status_terminated": "Terminated",
    "session.updated": "Session updated",
    "user.interrupt": "Interrupted by a person",
}
STOPS = {
    "end_turn": "Idle: the turn ended",
    "requires_action": "Waiting for approval of a tool call",
    "budget_reached": "Idle: the budget is used up",
    "refusal": "Idle: the model refused",
    "retries_exhausted": "Stopped: retries are exhausted",
}


class EventRow(Protocol):
    """What is read of a stored event."""

    @property
    def seq(self) -> int: ...

    @property
    def remote_id(self) -> str: ...

    @property
    def event_type(self) -> str: ...

    @property
    def payload(self) -> Any: ...

    @property
    def created_at(self) -> datetime: ...


@dataclass(frozen=True)
class Answer:
    """A tool's result, as it is shown inside the call."""

    seq: int
    text: str
    is_error: bool


@dataclass(frozen=True)
class Item:
    """One line of the transcript. `refusal` is why its reader cannot answer a call that asks."""

    seq: int
    kind: Kind
    text: str
    at: datetime
    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    call_id: str = ""
    asks: bool = False
    decided: str = ""
    refusal: str = ""
    answer: Answer | None = None


@dataclass(frozen=True)
class Turn:
    """What followed one message of a person; number 0 is what came before the first."""

    number: int
    items: list[Item]


def answered(events: Iterable[EventRow]) -> set[str]:
    """Return the ids of the calls that these events answer, allow or deny."""
    return {call_id for event in events if (call_id := reference_of(event))}


def turns(
    events: Sequence[EventRow],
    *,
    calls: Sequence[EventRow] = (),
    starts: Sequence[int],
    refusals: Mapping[str, str] = MappingProxyType({}),
) -> list[Turn]:
    """Return the events as turns.

    `calls` are earlier calls that these events answer; `starts` are the sequence numbers of all messages of the
    session; `refusals` is why the reader cannot answer a call, by its id.
    """
    answers = {reference_of(event): _answer(event) for event in events if event.event_type in ANSWERS}
    decisions = {
        reference_of(event): str(event.payload.get("result")) for event in events if event.event_type == CONFIRMATION
    }
    answers.pop("", None)  # an answer that names no call
    decisions.pop("", None)
    found: dict[int, list[Item]] = {}
    for event in (*calls, *events):
        item = _item(event)
        if item is not None:
            item = replace(
                item,
                answer=answers.get(item.call_id),
                decided=decisions.get(item.call_id, ""),
                refusal=refusals.get(item.call_id, ""),
            )
            found.setdefault(bisect_right(starts, event.seq), []).append(item)
    return [Turn(number, items) for number, items in sorted(found.items())]


def raw(events: Sequence[EventRow]) -> Turn:
    """Return every event as one line, named as the runtime names it."""
    return Turn(0, [Item(event.seq, "raw", event.event_type, event.created_at) for event in events])


def reference_of(event: EventRow) -> str:
    """Return the id of the call that the event answers or decides, "" when it names none."""
    call_id = event.payload.get(REFERENCES.get(event.event_type, ""))
    return call_id if isinstance(call_id, str) else ""


def _answer(event: EventRow) -> Answer:
    return Answer(event.seq, text_of(event.payload.get("content")), bool(event.payload.get("is_error")))


def _item(event: EventRow) -> Item | None:
    kind, payload = event.event_type, event.payload
    if kind in ANSWERS or kind.startswith(UNSHOWN_PREFIXES):
        return None
    if kind in CALLS:
        return _call(event)
    if kind == TURN:
        return Item(event.seq, "person", text_of(payload.get("content")), event.created_at)
    if kind == "agent.message":
        return Item(event.seq, "agent", text_of(payload.get("content")), event.created_at)
    if kind == "session.error":
        return Item(event.seq, "error", _error(payload), event.created_at)
    return Item(event.seq, "quiet", _quiet(kind, payload), event.created_at)


def _call(event: EventRow) -> Item:
    payload = event.payload
    return Item(
        event.seq,
        "call",
        "",
        event.created_at,
        tool=tool_name(payload),
        arguments=payload.get("input") or {},
        call_id=event.remote_id,
        asks=payload.get("evaluated_permission") == "ask",
    )


def tool_name(payload: Mapping[str, Any]) -> str:
    """Return how people name the tool of a call: `server.tool`, or the tool alone where it is built in."""
    names = [str(payload[name]) for name in ("mcp_server_name", "name") if payload.get(name)]
    return ".".join(names) or "tool"


def _error(payload: Mapping[str, Any]) -> str:
    error = payload.get("error")
    if not isinstance(error, dict):
        return "The runtime reported an error without details."
    server = f" ({error['mcp_server_name']})" if error.get("mcp_server_name") else ""
    return f"{error.get('type', 'error')}{server}: {error.get('message', '')}"


def _quiet(kind: str, payload: Mapping[str, Any]) -> str:
    if kind == "session.status_idle":
        reason = payload.get("stop_reason")
        return STOPS.get(reason.get("type", "") if isinstance(reason, dict) else "", "Idle")
    if kind == ENDED:
        counts = f"{payload.get('event_count', 0)} events, {payload.get('mcp_tool_use_count', 0)} MCP tool calls"
        return f"At rest after {counts}"
    if kind == CONFIRMATION:
        return "A person allowed the call" if payload.get("result") == "allow" else "A person denied the call"
    return QUIET_WORDS.get(kind, kind)


def text_of(content: object) -> str:
    """Return the text of CMA's content blocks; a block of another kind is named."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(_block(block) for block in content if isinstance(block, dict))


def _block(block: Mapping[str, Any]) -> str:
    text = block.get("text")
    return text if isinstance(text, str) else f"[{block.get('type', 'block')}]"
