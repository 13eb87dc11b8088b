"""What work is made of: things said, tools used, and what they answered.

A piece of work is a generator. It yields `Say` and `Use`, is sent the answers to a `Use`, and returns what the
conversation should remember.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any  # JSON of the tools

from powerloom.cma.local.rehearsal.request import Request

MOST_PAGES = 5
PAGE = 200
HELD = 202


@dataclass(frozen=True)
class Say:
    """Something to tell the person."""

    text: str


@dataclass(frozen=True)
class Tool:
    """One call."""

    name: str
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Use:
    """Calls that do not need each other's answers."""

    calls: tuple[Tool, ...]


@dataclass(frozen=True)
class Answer:
    """What a tool answered. `text` is what came, `body` the JSON object in it, if it was one."""

    text: str
    failed: bool
    body: Mapping[str, Any]

    @classmethod
    def of(cls, text: str, *, failed: bool) -> Answer:
        """Read an answer."""
        try:
            body = json.loads(text)
        except ValueError:
            body = None
        return cls(text, failed, body if isinstance(body, dict) else {})

    @property
    def held(self) -> Mapping[str, Any]:
        """The approval request that was opened instead, empty when there is none."""
        held = self.body.get("held")
        return held if isinstance(held, dict) else {}

    def rows(self, name: str) -> list[dict[str, Any]]:
        """The rows under a name; what is not a row is left out."""
        found = self.body.get(name)
        return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []

    def one(self, name: str) -> dict[str, Any]:
        """The object under a name, empty when there is none."""
        found = self.body.get(name)
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Memory:
    """What a conversation knows between two turns: a request that waits for an answer, the agent talked of last, and
    whether wishes that nothing fits may be dropped (`question` says what was asked).
    """

    asked: Request | None = None
    question: str = ""
    agent_id: str = ""


Work = Generator[Say | Use, list[Answer], Memory]
Looks = Generator[Say | Use, list[Answer], "dict[str, list[dict[str, Any]]]"]


class Stuck(Exception):
    """A tool refused what the work cannot do without; `answer` is what it said."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.text)
        self.answer = answer


LISTS = {
    "list_ous": "ous",
    "list_users": "users",
    "list_skills": "skills",
    "list_mcp_servers": "mcp_servers",
    "list_agents": "agents",
}


def look(*tools: Tool) -> Looks:
    """Use list and look-up tools together, then what further pages they have. Gives rows by the tool's name. Raises
    `Stuck` when one is refused.
    """
    answers = yield Use(tools)
    found: dict[str, list[dict[str, Any]]] = {}
    for tool, first in zip(tools, answers, strict=True):
        if first.failed:
            raise Stuck(first)
        answer, rows = first, first.rows(LISTS[tool.name])
        for _ in range(MOST_PAGES - 1):
            cursor = answer.body.get("next_cursor")
            if not cursor:
                break
            (answer,) = yield Use((Tool(tool.name, {**tool.given, "cursor": cursor}),))
            if answer.failed:
                raise Stuck(answer)
            rows = [*rows, *answer.rows(LISTS[tool.name])]
        found[tool.name] = rows
    return found


def listing(tool: str, **given: Any) -> Tool:
    """A list tool with full pages; the tree of OUs has none."""
    return Tool(tool, given if tool == "list_ous" else {"limit": PAGE, **given})
