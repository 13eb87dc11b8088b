"""What a call of the meta-agent's tools did, for a person: the right it used, what it made, the request that holds it.
Pure.

Only the answers of `powerloom_meta` are read so; what another server answers is text from elsewhere, whatever it says.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # JSON of the tools
from uuid import UUID

from sessions.transcript import Item, Turn

HELD = 202
LONGEST = 120
LISTS = ("ous", "users", "skills", "mcp_servers", "agents")
ONES = ("agent", "user")
SHOWN_QUIETLY = (
    "Interrupted",
    "Stopped",
    "Rescheduled",
    "A person",
    "Waiting for approval",
    "Idle: the budget",
    "Idle: the model",
)


@dataclass(frozen=True)
class Deed:
    """One answered call: the right that our API asked for, the agent it is about, the request that holds it."""

    status: int
    right: str
    request_id: str = ""
    gist: str = ""
    agent_id: UUID | None = None
    agent_name: str = ""
    approval_id: UUID | None = None

    @property
    def is_held(self) -> bool:
        """Whether nothing was changed, because a policy wants a yes first."""
        return self.approval_id is not None


@dataclass(frozen=True)
class Line:
    """One line of a conversation: the transcript's, and what its call did."""

    item: Item
    deed: Deed | None
    tool: str


@dataclass(frozen=True)
class Exchange:
    """A message of a person and all that followed."""

    number: int
    lines: list[Line]


def exchanges(turns: Sequence[Turn], *, servers: Collection[str]) -> list[Exchange]:
    """Return a transcript as a conversation. `servers` are the names under which the agent has `powerloom_meta`."""
    return [
        Exchange(turn.number, [_line(item, servers) for item in turn.items if _is_said(item)])
        for turn in turns
        if any(_is_said(item) for item in turn.items)
    ]


def deed_of(answer: str, arguments: Mapping[str, Any]) -> Deed | None:
    """Read what a tool of `powerloom_meta` answered, None when it is nothing of ours."""
    try:
        body = json.loads(answer)
    except ValueError:
        return None
    if not isinstance(body, dict) or not isinstance(body.get("right"), str) or not isinstance(body.get("status"), int):
        return None
    held, agent = body.get("held"), body.get("agent")
    about = agent.get("id") if isinstance(agent, dict) else arguments.get("agent_id")
    return Deed(
        status=body["status"],
        right=body["right"],
        request_id=str(body.get("request_id") or ""),
        gist=_gist(body),
        agent_id=_id(about),
        agent_name=_short(str(agent.get("name") or "")) if isinstance(agent, dict) else "",
        approval_id=_id(held.get("approval_request_id")) if isinstance(held, dict) else None,
    )


def _is_said(item: Item) -> bool:
    return item.kind != "quiet" or item.text.startswith(SHOWN_QUIETLY)


def _line(item: Item, servers: Collection[str]) -> Line:
    server, _, tool = item.tool.rpartition(".")
    is_ours = item.kind == "call" and server in servers
    deed = deed_of(item.answer.text, item.arguments) if is_ours and item.answer else None
    return Line(item, deed, tool if is_ours else item.tool)


def _gist(body: Mapping[str, Any]) -> str:
    """Say in a few words what came back: how many rows, which thing, why not."""
    if isinstance(body.get("said"), str):
        return _short(body["said"])
    for name in LISTS:
        rows = body.get(name)
        if isinstance(rows, list):
            more = " and more" if body.get("next_cursor") else ""
            return f"{_count(rows)}{more}"
    for name in ONES:
        one = body.get(name)
        if isinstance(one, dict):
            return _short(str(one.get("name") or ""))
    return ""


def _count(rows: list[Any]) -> str:
    """Count rows, those below others too."""
    count = 0
    waiting = list(rows)
    while waiting:
        row = waiting.pop()
        count += 1
        children = row.get("children") if isinstance(row, dict) else None
        waiting += children if isinstance(children, list) else []
    return f"{count} {'row' if count == 1 else 'rows'}"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _id(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
