"""A session's events as people read them: what was said, each tool call with its arguments, each result, what waits.

A change that an approval policy holds is named with its request, and how to approve it: where Powerloom's own tools say
so. What another server answers is text from elsewhere, whatever it says.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any  # CMA's JSON
from uuid import UUID

from powerloom.cli.render import Screen
from powerloom.cli.stream import Event

MOST_LINES = 12
MOST_OF_A_LINE = 600  # a result is often one long line of JSON; -o json has all of it
MCP_CALL = "agent.mcp_tool_use"
CALLS = {"agent.tool_use", MCP_CALL, "agent.custom_tool_use"}
RESULTS = {"agent.tool_result", "agent.mcp_tool_result", "user.tool_result", "user.custom_tool_result"}
ABOUT = ("tool_use_id", "mcp_tool_use_id", "custom_tool_use_id")
STOPS = {
    "requires_action": "Waits for somebody's yes to a tool call. See: weave approval list",
    "budget_reached": "The budget is used up.",
    "refusal": "The model refused.",
    "retries_exhausted": "Stopped: retries are exhausted.",
}

Say = Callable[[str, str], None]


class Transcript:
    """Tells events. `servers` are the names by which the agent calls Powerloom itself; `besides` is where everything
    goes but the agent's own words.
    """

    def __init__(self, screen: Screen, *, servers: Collection[str] = (), besides: Say | None = None) -> None:
        self._screen = screen
        self._servers = frozenset(servers)
        self._beside = besides or screen.say
        self._tools: dict[str, str] = {}
        self._ours: set[str] = set()
        self.failed = False

    def tell(self, event: Event, *, with_messages: bool = False) -> None:
        """Tell one event; for programs each is a line of JSON. `with_messages` tells what people wrote, too."""
        if not self._screen.is_for_people:
            self._screen.line(event.as_json())
        elif event.type != "user.message" or with_messages:
            self._tell(event.type, event.payload)
        if event.type == "powerloom.session_ended":
            self.failed = event.payload.get("status") in {"failed", "timeout"}

    def _tell(self, kind: str, payload: dict[str, Any]) -> None:
        if kind == "agent.message":
            self._screen.say(said(payload))
        elif kind == "user.message":
            self._beside(f"> {said(payload)}", "bold")
        elif kind in CALLS:
            self._call(kind, payload)
        elif kind in RESULTS:
            self._result(payload)
        elif kind == "session.status_idle":
            words = STOPS.get((payload.get("stop_reason") or {}).get("type", ""), "")
            if words:
                self._beside(words, "yellow")
        elif kind == "session.error":
            self._beside(f"Error: {_words(payload.get('error') or payload)}", "red")
        elif kind in {"powerloom.session_ended", "powerloom.session_already_ended"}:
            self._ended(payload)

    def _call(self, kind: str, payload: dict[str, Any]) -> None:
        tool = payload.get("tool") or payload.get("name", "")
        self._tools[str(payload.get("id"))] = tool
        if kind == MCP_CALL and payload.get("mcp_server_name") in self._servers:
            self._ours.add(str(payload.get("id")))
        arguments = json.dumps(payload.get("input") or {}, ensure_ascii=False)
        asks = " (asks first)" if payload.get("evaluated_permission") == "ask" else ""
        self._beside(f"→ {tool} {arguments}{asks}", "cyan")

    def _result(self, payload: dict[str, Any]) -> None:
        text = said(payload)
        tool = next((self._tools[payload[key]] for key in ABOUT if payload.get(key) in self._tools), "")
        lines = [f"{tool}:", *text.split("\n")] if "\n" in text else [f"{tool}: {text}"]
        shown = "\n  ".join(_clipped(line) for line in lines[:MOST_LINES])
        more = f"\n  … {len(lines) - MOST_LINES} more lines" if len(lines) > MOST_LINES else ""
        self._beside(f"← {shown}{more}", "red" if payload.get("is_error") else "dim")
        if payload.get("mcp_tool_use_id") in self._ours and (request := _held(text)):
            self._beside(f"Held for approval. Look at it: weave approval show {request}", "magenta")
            self._beside(f"An approver lets it pass: weave approval approve {request}", "magenta")

    def _ended(self, payload: dict[str, Any]) -> None:
        status = payload.get("status")
        if status in {"failed", "timeout"}:
            self._beside(f"The session ended: {status}. {_words(payload)}".rstrip(), "red")
        if payload.get("degradation_flagged"):
            self._beside("It never called its MCP tools. Why: weave describe session ID", "yellow")


def said(payload: dict[str, Any]) -> str:
    """Return the text of an event's content."""
    content = payload.get("content")
    if isinstance(content, str):
        return content
    blocks = content if isinstance(content, list) else []
    return "\n".join(str(block.get("text", "")) for block in blocks if isinstance(block, dict) and block.get("text"))


def _held(answer: str) -> UUID | None:
    """Return the request that holds the change, as a tool of Powerloom's own says it; None when nothing is held."""
    try:
        body = json.loads(answer)
        return UUID(body["held"]["approval_request_id"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _clipped(line: str) -> str:
    return line if len(line) <= MOST_OF_A_LINE else f"{line[:MOST_OF_A_LINE]}… {len(line) - MOST_OF_A_LINE} more"


def _words(payload: Any) -> str:
    if not isinstance(payload, dict):
        return str(payload)
    return str(payload.get("message") or payload.get("last_error") or payload.get("reason") or "")
