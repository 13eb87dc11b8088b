"""A session's events as people read them."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sessions.lane import APPROVALS, DENIALS, Mark, lanes
from sessions.tools import Use, calls, uses
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


def test_ticks_are_as_far_apart_as_the_events_were_in_every_lane() -> None:
    times = [NOON, NOON + timedelta(seconds=5), NOON + timedelta(seconds=10)]
    kinds = ["user.message", "agent.tool_use", "session.error"]
    marks = [
        Mark(APPROVALS, NOON + timedelta(seconds=7.5), "held", "asked", 2),
        Mark(DENIALS, NOON + timedelta(hours=1), "bad", "write_file"),
    ]
    drawn = lanes([(seq, kind, at) for seq, (kind, at) in enumerate(zip(kinds, times, strict=True), start=1)], marks)
    assert {lane.name: [(tick.seq, tick.x, tick.tone) for tick in lane.ticks] for lane in drawn} == {
        "Talk": [(1, 0, "held"), (3, 1000, "bad")],
        "Tools": [(2, 500, "busy")],
        "Approvals": [(2, 750, "held")],
        "Denied by policy": [(0, 1000, "bad")],
    }


def test_one_moment_is_one_place_and_an_empty_lane_is_none() -> None:
    [talk] = lanes([(1, "agent.message", NOON), (2, "agent.message", NOON)])
    assert [tick.x for tick in talk.ticks] == [0, 0]
    assert lanes([]) == []


def at(row: Row, seconds: float) -> Row:
    return replace(row, created_at=NOON + timedelta(seconds=seconds))


def test_a_call_lasts_from_the_yes_to_its_answer() -> None:
    asked = {"name": "bash", "evaluated_permission": "ask"}
    used = calls(
        [
            at(Row(1, "agent.mcp_tool_use", {"mcp_server_name": "sql", "name": "explain"}), 0),
            at(Row(2, "agent.mcp_tool_result", {"mcp_tool_use_id": "sevt_1", "is_error": True}), 3),
            at(Row(3, "agent.tool_use", asked), 4),
            at(Row(4, "user.tool_confirmation", {"tool_use_id": "sevt_3", "result": "allow"}), 64),
            at(Row(5, "agent.tool_result", {"tool_use_id": "sevt_3"}), 65),
            at(Row(6, "agent.tool_use", asked), 66),
            at(Row(7, "user.tool_confirmation", {"tool_use_id": "sevt_6", "result": "deny"}), 67),
            at(Row(8, "agent.tool_use", {"name": "bash"}), 68),
        ]
    )
    assert [(one.tool, one.seconds, one.waited, one.outcome) for one in used] == [
        ("sql.explain", 3, None, "failed"),
        ("bash", 1, 60, "answered"),
        ("bash", None, 1, "denied"),
        ("bash", None, None, "open"),
    ]
    assert uses(used) == [Use("bash", 3, 1, 1), Use("sql.explain", 1, 1, 3)]
