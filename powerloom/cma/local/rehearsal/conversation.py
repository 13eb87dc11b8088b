"""From a session's events to what comes next: the work of every message so far is done again over what its tools have
answered, and goes on where the answers end.

So nothing is remembered but the events themselves. A turn that was stopped, or whose record does not fit the work any
more, leaves the memory as it was before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from powerloom.cma.local.rehearsal.planner import work_on
from powerloom.cma.local.rehearsal.work import Answer, Memory, Say, Tool
from powerloom.cma.local.wishes import wishes

EVENTS = ("user.message", "agent.mcp_tool_use", "agent.mcp_tool_result")


@dataclass
class Turn:
    """One message and the calls that followed it, in order; the answer to one may be missing."""

    prompt: str
    calls: list[tuple[str, str]] = field(default_factory=list)  # event id, tool
    answers: dict[str, Answer] = field(default_factory=dict)

    def given(self, place: int, call: Tool) -> Answer | None:
        """The answer to the call at this place, if it is this call and was answered."""
        if place >= len(self.calls) or self.calls[place][1] != call.name:
            return None
        return self.answers.get(self.calls[place][0])


@dataclass(frozen=True)
class Next:
    """What comes next: things to say, then calls to make; without calls the turn is over. `is_first` when nothing was
    said in the whole conversation.
    """

    says: tuple[str, ...]
    calls: tuple[Tool, ...]
    is_first: bool


def turns_of(events: Iterable[Mapping[str, Any]]) -> list[Turn]:
    """Read a session's messages, calls and results, oldest first."""
    turns: list[Turn] = []
    for event in events:
        if event["type"] == "user.message":
            turns.append(Turn(wishes(_text(event["content"])).text))
        elif turns and event["type"] == "agent.mcp_tool_use":
            turns[-1].calls.append((event["id"], event["name"]))
        elif turns and event["type"] == "agent.mcp_tool_result":
            answer = Answer.of(_text(event["content"]), failed=bool(event["is_error"]))
            turns[-1].answers[event["mcp_tool_use_id"]] = answer
    return turns


def what_next(turns: Sequence[Turn]) -> Next:
    """Return what the last turn does next."""
    memory = Memory()
    for turn in turns[:-1]:
        _, memory = _again(turn, memory)
    following, _ = _again(turns[-1], memory)
    return replace(following, is_first=following.is_first and len(turns) == 1)


def _again(turn: Turn, memory: Memory) -> tuple[Next, Memory]:
    """Do a turn's work over its recorded answers, as far as they go."""
    work = work_on(turn.prompt, memory)
    says: list[str] = []
    place, answers = 0, None
    while True:
        try:
            step = next(work) if answers is None else work.send(answers)
        except StopIteration as end:
            return Next(tuple(says), (), place == 0), end.value
        if isinstance(step, Say):
            says.append(step.text)
            answers = None
            continue
        known = [turn.given(place + number, call) for number, call in enumerate(step.calls)]
        answers = [answer for answer in known if answer is not None]
        if len(answers) < len(step.calls):
            return Next(tuple(says), step.calls, place == 0), memory
        place += len(step.calls)
        says = []


def _text(content: object) -> str:
    if not isinstance(content, list):
        return str(content or "")
    return "\n".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
