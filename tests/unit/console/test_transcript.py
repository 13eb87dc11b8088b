"""A session's events as people read them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sessions.lane import ticks
from sessions.transcript import Item, answered, turns

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass
class Row:
    seq: int
    event_type: str
    payload: dict[str, Any] = field(default_factory=dict)
    created_at: datetime = NOON

    @property
    def remote_id(self) -> str:
        return f"sevt_{self.seq}"


def text(words: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": words}]}


TALK = [
    Row(1, "powerloom.session_created"),
    Row(2, "user.message", text("Look at it")),
    Row(3, "span.model_request_start"),
    Row(4, "agent.message", text("Looking")),
    Row(5, "agent.mcp_tool_use", {"mcp_server_name": "sql", "name": "explain", "input": {"q": 1}}),
    Row(6, "agent.mcp_tool_result", {"mcp_tool_use_id": "sevt_5"} | text("done")),
    Row(7, "session.status_idle", {"stop_reason": {"type": "end_turn"}}),
    Row(8, "user.message", text("Again")),
]


def items(events: list[Row], **more: Any) -> list[Item]:
    return [item for turn in turns(events, starts=[2, 8], **more) for item in turn.items]


def test_each_message_of_a_person_begins_a_turn() -> None:
    assert [(turn.number, [item.seq for item in turn.items]) for turn in turns(TALK, starts=[2, 8])] == [
        (0, [1]),
        (1, [2, 4, 5, 7]),
        (2, [8]),
    ]


def test_a_result_is_shown_inside_its_call() -> None:
    [call] = [item for item in items(TALK) if item.kind == "call"]
    assert call.tool == "sql.explain"
    assert call.answer is not None
    assert (call.answer.seq, call.answer.text, call.answer.is_error) == (6, "done", False)


def test_a_result_that_comes_alone_brings_its_call_again() -> None:
    alone = TALK[5:6]
    assert answered(alone) == {"sevt_5"}
    [again] = items(alone, calls=TALK[4:5])
    assert (again.seq, again.kind, again.answer is not None) == (5, "call", True)


def test_a_call_that_asks_is_marked() -> None:
    [call] = items([Row(5, "agent.tool_use", {"name": "bash", "evaluated_permission": "ask"})])
    assert call.asks


def test_it_survives_payloads_it_did_not_expect() -> None:
    odd = [
        Row(1, "agent.message", {"content": [{"type": "image"}, "text", 7]}),
        Row(2, "agent.tool_use", {}),
        Row(3, "agent.tool_result", {"tool_use_id": ["no"]}),
        Row(4, "session.error", {"error": "text"}),
        Row(5, "session.status_idle", {"stop_reason": None}),
        Row(6, "something.new", {}),
    ]
    assert [item.text for item in items(odd) if item.kind != "call"] == [
        "[image]",
        "The runtime reported an error without details.",
        "Idle",
        "something.new",
    ]


def test_ticks_are_as_far_apart_as_the_events_were() -> None:
    times = [NOON, NOON + timedelta(seconds=5), NOON + timedelta(seconds=10)]
    kinds = ["user.message", "agent.tool_use", "session.error"]
    drawn = ticks([(seq, kind, at) for seq, (kind, at) in enumerate(zip(kinds, times, strict=True), start=1)])
    assert [(tick.x, tick.tone) for tick in drawn] == [(0, "held"), (500, "busy"), (1000, "bad")]


def test_one_moment_is_one_place() -> None:
    assert [tick.x for tick in ticks([(1, "agent.message", NOON), (2, "agent.message", NOON)])] == [0, 0]
    assert ticks([]) == []
