"""Frames: the runtime's events with the keys that read well, and never anything that a database cannot hold."""

import json

from hypothesis import given
from hypothesis import strategies as st

from sessions.frames import as_text, of_event, storable


def test_an_mcp_call_names_its_tool_with_its_server() -> None:
    event = {"id": "sevt_1", "type": "agent.mcp_tool_use", "mcp_server_name": "sql", "name": "explain", "input": {}}
    assert of_event(event).payload == event | {"tool": "sql.explain"}


def test_an_mcp_answer_has_its_result() -> None:
    event = {"id": "sevt_1", "type": "agent.mcp_tool_result", "content": [{"type": "text", "text": "ok"}]}
    assert of_event(event).payload["result"] == {"content": event["content"], "is_error": False}


def test_other_events_stay_as_they_came() -> None:
    event = {"id": "sevt_1", "type": "agent.message", "content": [], "something_new": {"a": [1]}}
    assert of_event(event).payload == event


def test_a_frame_is_one_json_object_whatever_it_holds() -> None:
    text = as_text('a"b', {"x": 'y"z'}, 3, session="s")
    assert json.loads(text) == {"type": 'a"b', "payload": {"x": 'y"z'}, "seq": 3, "session": "s"}
    assert json.loads(as_text("t", '{"x": 1}', 4)) == {"type": "t", "payload": {"x": 1}, "seq": 4}


def test_what_no_database_can_hold_is_replaced() -> None:
    event = {
        "id": "sevt_1",
        "type": "x",
        "text": "a\x00b",
        "half": "\ud800",
        "whole": "😀",
        "deep": [{"k\x00": "\udc00"}],
    }
    clean = storable(event)
    text = json.dumps(clean)
    assert "\\u0000" not in text
    clean["text"].encode()
    clean["half"].encode()
    assert clean["whole"] == "😀"


@given(st.dictionaries(st.text(), st.text()))
def test_what_can_be_held_is_never_touched(values: dict[str, str]) -> None:
    event = {"id": "1", "type": "x", **{key: value for key, value in values.items() if "\x00" not in key + value}}
    assert storable(event) == event
