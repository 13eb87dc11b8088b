"""Frames: what a session's events look like to those who follow it. Pure.

A frame is `{"type", "payload", "seq"}`. The payload is CMA's event as it came, plus a few keys that read well:
`tool` (`server.name`) on an MCP call, `result` on its answer. Frames of our own are named `powerloom.*`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any  # CMA's JSON

JSON = dict[str, Any]

SESSION_CREATED = "powerloom.session_created"
SESSION_ENDED = "powerloom.session_ended"
SESSION_ALREADY_ENDED = "powerloom.session_already_ended"
ERROR = "powerloom.error"

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class Frame:
    """One row to be: who made it (CMA's id, or ours), its type and its payload."""

    remote_id: str
    type: str
    payload: JSON


def of_event(event: JSON) -> Frame:
    """Return the frame of one of CMA's events."""
    event = storable(event)
    extra: JSON = {}
    if event["type"] == "agent.mcp_tool_use":
        extra = {"tool": f"{event.get('mcp_server_name', '')}.{event.get('name', '')}"}
    elif event["type"] == "agent.mcp_tool_result":
        extra = {"result": {"content": event.get("content") or [], "is_error": bool(event.get("is_error"))}}
    return Frame(event["id"], event["type"], event | extra)


def created(cma_session_id: str) -> Frame:
    """Return the frame that opens every session."""
    return Frame("powerloom.created", SESSION_CREATED, {"cma_session_id": cma_session_id})


def as_text(kind: str, payload: JSON | str, seq: int, **more: Any) -> str:
    """Return a frame as it is sent; `payload` may already be JSON text."""
    text = payload if isinstance(payload, str) else json.dumps(payload)
    extra = "".join(f', "{name}": {json.dumps(value)}' for name, value in more.items())
    return f'{{"type": {json.dumps(kind)}, "payload": {text}, "seq": {seq}{extra}}}'


def storable(event: JSON) -> JSON:
    """Return the event with what no database text can hold (U+0000, halves of surrogate pairs) replaced."""
    text = json.dumps(event)
    if "\\u0000" not in text and "\\ud" not in text:
        return event
    cleaned: JSON = _cleaned(event)
    return cleaned


def _cleaned(value: Any) -> Any:
    match value:
        case str():
            whole = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            return whole.replace("\x00", REPLACEMENT)
        case dict():
            return {_cleaned(key): _cleaned(item) for key, item in value.items()}
        case list():
            return [_cleaned(item) for item in value]
    return value
