"""The inbox's pages: what a reviewer sees, and that deciding there does what the API does."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from approvals.models import ApprovalRequest
from tests.held import ask_for_agent, decide, held_agent, make_policy
from tests.world import World, api_of, console_of

pytestmark = pytest.mark.once


@pytest.fixture
def request_(world: World) -> ApprovalRequest:
    make_policy(world.alice, world.engineering)
    return held_agent(world.bob, world.engineering)


def text(client: Client, url: str) -> str:
    return client.get(url).content.decode()


def test_the_inbox_shows_what_waits_and_for_whom(world: World, request_: ApprovalRequest) -> None:
    vera = console_of(world.vera)
    shown = text(vera, "/approvals")
    assert "agent:create code-reviewer" in shown
    assert "user:bob@acme.example" in shown
    assert 'aria-label="1 wait for you"' in text(vera, "/approvals/count")
    assert text(console_of(world.alice), "/approvals/count").strip() == ""
    assert "Nothing waits for you." in text(console_of(world.alice), "/approvals")
    assert "agent:create code-reviewer" in text(console_of(world.bob), "/approvals?tab=mine")
    assert vera.get("/approvals?tab=nothing").status_code == 404


def test_a_reviewer_sees_all_of_it_and_decides_with_a_reason(world: World, request_: ApprovalRequest) -> None:
    vera = console_of(world.vera)
    page = text(vera, f"/approvals/{request_.pk}")
    for said in ("Review Python code.", "claude-sonnet-4-6", "gate", "1 of Approver", "Approve", "Reject"):
        assert said in page
    answer = vera.post(f"/approvals/{request_.pk}/decide", {"verdict": "reject", "comment": "not this week"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/approvals")
    page = text(console_of(world.bob), f"/approvals/{request_.pk}")
    assert "not this week" in page
    assert "Rejected" in page


def test_who_may_not_decide_sees_no_buttons(world: World, request_: ApprovalRequest) -> None:
    assert 'name="verdict"' not in text(console_of(world.alice), f"/approvals/{request_.pk}")
    assert "Cancel the request" in text(console_of(world.bob), f"/approvals/{request_.pk}")


def test_hidden_characters_are_shown_to_whoever_decides(world: World) -> None:
    make_policy(world.alice, world.engineering, "agent:*")
    ask = {"description": "harmless\u202egnihton"}
    answer = api_of(world.bob).post(
        "/agents",
        {"name": "x", "ou_id": str(world.engineering.id), "display_name": "X", "model": "m", "system_prompt": "p"}
        | ask,
    )
    page = text(console_of(world.vera), f"/approvals/{answer.json()['id']}")
    assert "\u202e" not in page
    assert "⟦U+202E⟧" in page


def test_the_pages_cost_the_same_whatever_waits(world: World, request_: ApprovalRequest) -> None:
    vera, counts = console_of(world.vera), []
    for number in range(3):
        with CaptureQueriesContext(connection) as queries:
            assert vera.get("/approvals").status_code == 200
        counts.append(len(queries))
        assert ask_for_agent(world.bob, world.engineering, f"more-{number}").status_code == 202
    assert len(set(counts)) == 1


def test_a_decided_request_leaves_the_inbox(world: World, request_: ApprovalRequest) -> None:
    decide(world.vera, request_)
    assert "Nothing waits for you." in text(console_of(world.vera), "/approvals")
    assert "agent:create code-reviewer" in text(console_of(world.vera), "/approvals?tab=recent")
