"""The inbox's pages: what a reviewer sees, and that deciding there does what the API does."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from approvals import cards, risk
from approvals.models import ApprovalRequest, Demand
from tests.held import ask_for_agent, builtin, decide, held_agent, make_policy
from tests.standing import standing
from tests.world import World, actor_of, api_of, console_of

pytestmark = pytest.mark.once


@standing
def request_(world: World) -> ApprovalRequest:
    make_policy(world.alice, world.engineering)
    return held_agent(world.bob, world.engineering)


def text(client: Client, url: str) -> str:
    return client.get(url).content.decode()


def test_the_inbox_shows_what_waits_and_for_whom(world: World, request_: ApprovalRequest) -> None:
    vera = console_of(world.vera)
    shown = text(vera, "/approvals")
    assert "agent:create <bdi>code-reviewer</bdi>" in shown
    for said in (
        "Review Python code.",
        "claude-sonnet-4-6",
        "gate",
        "asks 1 of Approver",
        "Medium risk",
        "6 d</time> left",
    ):
        assert said in shown
    assert "user:bob@acme.example" in shown
    assert 'aria-label="1 wait for you"' in text(vera, "/approvals/count")
    assert text(console_of(world.alice), "/approvals/count").strip() == ""
    assert "Nothing waits for you." in text(console_of(world.alice), "/approvals")
    assert "agent:create code-reviewer" in text(console_of(world.bob), "/approvals?tab=mine")
    assert vera.get("/approvals?tab=nothing").status_code == 404


def test_where_nothing_is_held_nobody_is_asked_whom_the_demands_name(world: World) -> None:
    vera = console_of(world.vera)
    with CaptureQueriesContext(connection) as queries:
        assert text(vera, "/approvals/count").strip() == ""
    assert not [query["sql"] for query in queries if Demand._meta.db_table in query["sql"]]


def test_a_reviewer_sees_all_of_it_and_decides_with_a_reason(world: World, request_: ApprovalRequest) -> None:
    vera = console_of(world.vera)
    page = text(vera, f"/approvals/{request_.pk}")
    for said in (
        "Review Python code.",
        "gate",
        "1 of Approver",
        "Approve",
        "Reject",
        "Can decide",
        "vera@acme.example",
    ):
        assert said in page
    answer = vera.post(f"/approvals/{request_.pk}/decide", {"verdict": "reject", "comment": "not this week"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/approvals")
    page = text(console_of(world.bob), f"/approvals/{request_.pk}")
    assert "not this week" in page
    assert "Rejected" in page


def test_who_may_not_decide_is_told_why(world: World, request_: ApprovalRequest) -> None:
    alice, bob = (text(console_of(who), f"/approvals/{request_.pk}") for who in (world.alice, world.bob))
    assert 'name="verdict"' not in alice + bob
    assert "You are not asked." in alice
    assert "Who asks does not decide." in bob
    assert "Cancel the request" in bob


def test_the_worst_risk_comes_first_and_in_it_the_newest(world: World, request_: ApprovalRequest) -> None:
    make_policy(world.alice, world.engineering, "role_binding:*", "rights")
    binding = {"principal_id": str(world.eve.id), "role_id": str(builtin("AgentViewer")), "decision_type": "allow"}
    asked = api_of(world.bob).post("/role-bindings", binding | {"scope_ou_id": str(world.engineering.id)})
    assert asked.status_code == 202
    held_agent(world.bob, world.engineering, "newer")
    names = ["role_binding:create", "agent:create <bdi>newer", "agent:create <bdi>code-reviewer"]
    shown = text(console_of(world.vera), "/approvals")
    assert sorted(names, key=shown.index) == names
    first = cards.waiting(actor_of(world.vera), "", size=1)
    second = cards.waiting(actor_of(world.vera), first.next, size=2)
    rows = [*first.rows, *second.rows]
    assert [row.target_name for row in rows] == ["AgentViewer", "newer", "code-reviewer"]
    assert second.next == ""
    ranks = {row["id"]: row["rank"] for row in risk.ranked(ApprovalRequest.objects.all()).values()}
    assert all(ranks[row.pk] == risk.RANKS[risk.of(row)] for row in rows), "the order says what the badge says"


def test_several_are_decided_at_once_and_each_says_what_became_of_it(world: World, request_: ApprovalRequest) -> None:
    other, own = held_agent(world.bob, world.engineering, "other"), held_agent(world.alice, world.engineering, "own")
    decide(world.vera, own)
    said = {"ids": [request_.pk, other.pk, own.pk], "verdict": "reject", "comment": "not this week"}
    answer = console_of(world.vera).post("/approvals/decide", said, headers={"HX-Request": "true"})
    shown = answer.content.decode()
    assert (answer.status_code, answer.headers["HX-Trigger"]) == (200, "inbox")
    assert "Rejected 2 of 3." in shown
    assert "agent:create own: This request is" in shown
    assert [f'id="card-{one.pk}" data-row data-gone' in shown for one in (request_, other, own)] == [True, True, False]
    assert list(ApprovalRequest.objects.filter(status="rejected").values_list("target_name", flat=True)) == [
        "code-reviewer",
        "other",
    ]
    assert console_of(world.vera).post("/approvals/decide", {"verdict": "approve"}).status_code == 422


def test_what_was_decided_about_the_same_thing_before_is_told(world: World, request_: ApprovalRequest) -> None:
    decide(world.vera, request_, "reject", "no")
    held_agent(world.bob, world.engineering)
    assert "Rejected" in text(console_of(world.vera), "/approvals")


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
