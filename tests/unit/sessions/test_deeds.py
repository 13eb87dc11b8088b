"""What a call of the meta-agent's tools is shown as; nobody else's answer is read so."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from sessions.deeds import Deed, deed_of, exchanges
from sessions.transcript import Answer, Item, Turn

pytestmark = pytest.mark.once

AGENT = UUID(int=1)
ASK = UUID(int=2)


def body(**fields: Any) -> dict[str, Any]:
    return {"status": 200, "right": "agent:read", "request_id": "req", **fields}


ANSWERS = [
    (body(agents=[{"id": "1"}, {"id": "2"}], next_cursor="x"), {"gist": "2 rows and more"}),
    (body(ous=[{"children": [{"children": []}, {}]}]), {"gist": "3 rows"}),
    (body(skills=[{}]), {"gist": "1 row"}),
    (
        body(agent={"id": str(AGENT), "name": "scout"}),
        {"gist": "scout", "agent_id": AGENT, "agent_name": "scout"},
    ),
    (body(status=202, held={"approval_request_id": str(ASK)}), {"status": 202, "approval_id": ASK}),
    (body(status=403, said="You need agent:create."), {"status": 403, "gist": "You need agent:create."}),
    (body(agent={"id": "javascript:alert(1)", "name": 7}), {"gist": "7", "agent_name": "7"}),
    (body(held="yes", agents="many", user=None), {}),
    (body(said="x" * 500), {"gist": "x" * 119 + "…"}),
]


@pytest.mark.parametrize(("answer", "expected"), ANSWERS)
def test_a_deed_is_read_from_its_answer(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    deed = deed_of(json.dumps(answer), {})
    given: dict[str, Any] = {"status": 200, "right": "agent:read", "request_id": "req"}
    assert deed == Deed(**given | expected)
    assert deed.is_held == ("approval_id" in expected)


def test_what_an_agent_was_given_is_about_that_agent() -> None:
    deed = deed_of(json.dumps(body(credential={"id": "x"})), {"agent_id": str(AGENT)})
    assert deed
    assert deed.agent_id == AGENT


@pytest.mark.parametrize("answer", ["", "not JSON", "[]", "7", '{"status": 200}', '{"status": "200", "right": "x"}'])
def test_what_is_not_ours_is_no_deed(answer: str) -> None:
    assert deed_of(answer, {}) is None


def test_only_the_named_servers_are_read() -> None:
    answer = Answer(2, json.dumps(body(agent={"id": str(AGENT), "name": "scout"})), is_error=False)
    at = datetime.now(UTC)
    items = [
        Item(1, "call", "", at, tool=f"{server}.create_agent", call_id=server, answer=answer)
        for server in ("ours", "x")
    ]
    quiet = [Item(3, "quiet", words, at) for words in ("Thinking", "Idle: the turn ended", "Interrupted by a person")]
    (shown, second) = exchanges([Turn(1, items), Turn(2, quiet), Turn(3, quiet[:2])], servers={"ours"})
    assert [(line.tool, bool(line.deed)) for line in shown.lines] == [("create_agent", True), ("x.create_agent", False)]
    assert [line.item.text for line in second.lines] == ["Interrupted by a person"]
