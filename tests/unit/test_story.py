"""What the storyteller prints of a session is somebody else's text: a terminal shows it and obeys none of it."""

from typing import Any

import pytest

from powerloom.run.story import gist

CORPUS = [
    "\x1b[2J\x1b[H",  # an empty screen
    "\x1b]0;a title\x07",
    "\x1b]8;;https://evil.example\x1b\\a link\x1b]8;;\x1b\\",
    "\x9b31mred",
    "over\rwritten",
    "\u202egnorw",
    "\x00\x08\x7f",
]


def frame(kind: str, **payload: Any) -> dict[str, Any]:
    return {"type": kind, "payload": payload}


@pytest.mark.parametrize("text", CORPUS)
def test_text_of_an_agent_moves_no_terminal(text: str) -> None:
    said = frame("agent.message", content=[{"type": "text", "text": text}])
    called = frame("agent.tool_use", name=text, input={text: text})
    assert gist(said).isprintable()
    assert gist(called).isprintable()


def test_it_says_what_an_agent_said_or_called() -> None:
    assert gist(frame("agent.message", content=[{"type": "text", "text": "one\ntwo"}])) == "one two"
    assert gist(frame("agent.tool_use", name="bash", input={})) == '{"name": "bash", "input": {}}'
    assert gist(frame("span.model_request_start")) == ""
