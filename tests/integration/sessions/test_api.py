"""Sessions over REST: read, listed, written to, ended; and every refusal in its place."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Binding, User
from agents.models import Agent
from powerloom.audit.models import Entry
from powerloom.kernel.ids import new_id
from sessions.models import AgentSession, SessionEvent, SessionInput
from sessions.rows import SessionOut
from tests.recorded import ended_session, event, invoked, live_agent_elsewhere, observe, running_session, said
from tests.refusals import code
from tests.world import Api, World, api_of, bind, make_token, make_user

pytestmark = pytest.mark.usefixtures("agent")


def listed(response: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(response.getvalue())
    return rows


def operator(world: World) -> User:
    user = make_user("agentoperator@acme.example", home=world.engineering)
    bind(user, "AgentOperator", world.engineering)
    return user


# --- Read and list


def test_one_session_is_shown_whole(world: World, agent: Agent) -> None:
    session = ended_session(agent, world.alice, "one", "two")
    row = api_of(world.eve).get(f"/sessions/{session.id}").json()
    SessionOut.model_validate(row)
    assert (row["status"], row["stop_reason"], row["event_count"]) == ("idle_end_turn", "end_turn", 4)
    assert (row["invoked_by"], row["agent_name"], row["ou_path"]) == (
        "user:alice@acme.example",
        "code-reviewer",
        "/acme/engineering",
    )
    assert row["duration_seconds"] >= 0


def test_a_session_is_seen_with_the_right_or_by_who_invoked_it(world: World, agent: Agent) -> None:
    caller = operator(world)
    session = invoked(agent, caller)
    Binding.objects.filter(principal_id=caller.id).update(ended_at=timezone.now())
    assert api_of(caller).get(f"/sessions/{session.id}").status_code == 200
    assert [row["id"] for row in listed(api_of(caller).get("/sessions"))] == [str(session.id)]
    for stranger in (world.mallory, make_user("nobody@acme.example", home=world.sales)):
        assert api_of(stranger).get(f"/sessions/{session.id}").status_code == 404
        assert listed(api_of(stranger).get("/sessions")) == []


def test_a_narrow_token_stays_narrow_even_on_ones_own(world: World, agent: Agent) -> None:
    session = invoked(agent, world.alice)
    elsewhere = Api(make_token(world.alice, ou=world.sales))
    other_action = Api(make_token(world.alice, actions=["agent:read"]))
    for api in (elsewhere, other_action):
        assert api.get(f"/sessions/{session.id}").status_code == 404
        assert listed(api.get("/sessions")) == []
        assert api.post(f"/sessions/{session.id}/messages", {"text": "x"}).status_code == 404


def test_lists_filter_by_agent_ou_status_flag_and_time(world: World, agent: Agent) -> None:
    first = ended_session(agent, world.alice)
    second = running_session(live_agent_elsewhere(world), world.alice)
    AgentSession.objects.filter(pk=second.pk).update(degradation_flagged=True)
    api = api_of(world.alice)

    def ids(**query: Any) -> list[str]:
        return [row["id"] for row in listed(api.get("/sessions", query))]

    assert ids() == [str(second.id), str(first.id)]
    assert ids(agent_id=agent.id) == ids(ou_id=world.engineering.id) == ids(status="idle_end_turn") == [str(first.id)]
    assert ids(degradation_flagged="true") == ids(status="running") == [str(second.id)]
    assert ids(ou_id=world.root.id) == ids(agent_id=uuid4()) == []
    assert ids(since=(timezone.now() + timedelta(hours=1)).isoformat()) == []
    assert len(ids(until=(timezone.now() + timedelta(hours=1)).isoformat())) == 2
    assert len(listed(api.get("/agent-sessions", {"status": "active"}))) == 2
    assert api.get("/sessions", {"status": "odd"}).status_code == 422


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("agent_id", "x"),
        ("ou_id", "1"),
        ("status", "zz"),
        ("status", ""),
        ("degradation_flagged", "perhaps"),
        ("since", "yesterday"),
        ("until", "2026-13-01"),
    ],
)
def test_a_wrong_filter_is_named_as_it_was_written(world: World, name: str, value: str) -> None:
    response = api_of(world.alice).get("/sessions", {name: value})
    assert (response.status_code, code(response)) == (422, "invalid")
    detail = response.json()["error"]["detail"]
    assert detail["field"] == name
    assert {problem["field"] for problem in detail["problems"]} == {name}


def test_a_list_of_one_agents_sessions_since_and_until_leaves_out_what_was_before_and_after(
    world: World, agent: Agent
) -> None:
    sessions = [invoked(agent, world.alice) for _ in range(3)]
    start = timezone.now() - timedelta(days=1)
    for day, session in enumerate(sessions):
        AgentSession.objects.filter(pk=session.pk).update(created_at=start + timedelta(minutes=day))
    wanted = {"since": start + timedelta(minutes=1), "until": start + timedelta(minutes=2)}
    rows = listed(api_of(world.alice).get("/sessions", {name: at.isoformat() for name, at in wanted.items()}))
    assert [row["id"] for row in rows] == [str(sessions[1].id)]


def test_a_list_costs_the_same_number_of_queries_whatever_its_length(world: World, agent: Agent) -> None:
    api = api_of(world.alice)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            listed(api.get("/sessions"))
        return len(captured)

    invoked(agent, world.alice)
    few = queries()
    for _ in range(10):
        invoked(agent, world.alice)
    assert queries() == few


def test_events_come_in_order_after_a_number(world: World, agent: Agent) -> None:
    session = ended_session(agent, world.alice, "one", "two")
    api = api_of(world.eve)
    rows = api.get(f"/sessions/{session.id}/events").json()
    assert [row["seq"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[2]["event_type"] == "agent.message"
    assert rows[2]["payload"]["content"][0]["text"] == "one"
    some = api.get(f"/sessions/{session.id}/events", {"after_seq": 2, "limit": 2}).json()
    assert [row["seq"] for row in some] == [3, 4]
    for wrong in ({"limit": 0}, {"limit": 501}, {"after_seq": -1}, {"limit": "x"}):
        assert api.get(f"/sessions/{session.id}/events", wrong).status_code == 422


# --- Go on, answer, stop


def test_a_message_wakes_a_session_at_rest(world: World, agent: Agent) -> None:
    session = ended_session(agent, world.alice)
    row = api_of(world.alice).post(f"/sessions/{session.id}/messages", {"text": "and now?"}).json()
    assert row["status"] == "running"
    assert SessionInput.objects.filter(session=session, kind="message", sent_at__isnull=True).count() == 1


def test_the_same_message_with_the_same_key_is_one(world: World, agent: Agent) -> None:
    session = ended_session(agent, world.alice)
    for _ in range(2):
        api_of(world.alice).post(f"/sessions/{session.id}/messages", {"text": "x"}, HTTP_IDEMPOTENCY_KEY="k")
    assert SessionInput.objects.filter(session=session, key="k").count() == 1


@pytest.mark.parametrize("act", ["messages", "interrupt", "close", "confirmations", "tickets"])
def test_no_act_on_a_session_out_of_sight(world: World, agent: Agent, act: str) -> None:
    session = running_session(agent, world.alice)
    body = {"messages": {"text": "x"}, "confirmations": {"tool_use_id": "x", "result": "allow"}}.get(act)
    assert api_of(world.mallory).post(f"/sessions/{session.id}/{act}", body).status_code == 404


def test_who_may_only_read_may_not_act(world: World, agent: Agent) -> None:
    session = running_session(agent, world.alice)
    api = api_of(world.eve)
    assert api.post(f"/sessions/{session.id}/messages", {"text": "x"}).status_code == 403
    assert api.post(f"/sessions/{session.id}/interrupt").status_code == 403
    assert api.post(f"/sessions/{session.id}/close").status_code == 403
    assert api.patch(f"/sessions/{session.id}", {"title": "x"}).status_code == 403
    assert api.delete(f"/sessions/{session.id}").status_code == 403
    assert api.post(f"/sessions/{session.id}/tickets").status_code == 201


def test_who_invoked_it_may_end_it_but_not_go_on_without_the_right_to_invoke(world: World, agent: Agent) -> None:
    caller = operator(world)
    session = ended_session(agent, caller)
    Binding.objects.filter(principal_id=caller.id).update(ended_at=timezone.now())
    refused = api_of(caller).post(f"/sessions/{session.id}/messages", {"text": "x"})
    assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, "agent:invoke")
    assert api_of(caller).post(f"/sessions/{session.id}/close").status_code == 200


def test_only_a_call_that_asks_in_this_session_can_be_answered(world: World, agent: Agent) -> None:
    asking = event("agent.tool_use", name="bash", input={}, evaluated_permission="ask")
    fine = event("agent.tool_use", name="bash", input={}, evaluated_permission="allow")
    session = running_session(agent, world.alice)
    elsewhere = observe(running_session(agent, world.alice), event("agent.tool_use", evaluated_permission="ask"))
    foreign = SessionEvent.objects.get(session=elsewhere, event_type="agent.tool_use").remote_id
    observe(session, fine, asking, event("session.status_idle", stop_reason={"type": "requires_action"}))
    api = api_of(world.alice)

    def answer(tool_use_id: str) -> int:
        body = {"tool_use_id": tool_use_id, "result": "deny", "deny_message": "no"}
        status: int = api.post(f"/sessions/{session.id}/confirmations", body).status_code
        return status

    assert [answer(fine["id"]), answer(foreign), answer("sevt_none")] == [404, 404, 404]
    assert [answer(asking["id"]), answer(asking["id"])] == [200, 409]
    assert SessionInput.objects.get(kind="confirmation").event == {
        "type": "user.tool_confirmation",
        "tool_use_id": asking["id"],
        "result": "deny",
        "deny_message": "no",
    }


def test_interrupting_what_has_not_begun_ends_it(world: World, agent: Agent) -> None:
    session = invoked(agent, world.alice)
    assert api_of(world.alice).post(f"/sessions/{session.id}/interrupt").json()["status"] == "terminated"


def test_one_order_to_stop_is_enough(world: World, agent: Agent) -> None:
    session = running_session(agent, world.alice)
    for _ in range(3):
        assert api_of(world.alice).post(f"/sessions/{session.id}/interrupt").status_code == 200
    assert SessionInput.objects.filter(kind="interrupt").count() == 1


def test_a_closed_session_takes_nothing_more(world: World, agent: Agent) -> None:
    session = running_session(agent, world.alice)
    api = api_of(world.alice)
    closed = api.post(f"/sessions/{session.id}/close").json()
    assert (closed["status"], closed["stop_reason"]) == ("terminated", "closed")
    for path, body in (("messages", {"text": "x"}), ("interrupt", None), ("close", None)):
        response = api.post(f"/sessions/{session.id}/{path}", body)
        assert (response.status_code, code(response)) == (409, "conflict")
    session.refresh_from_db()
    assert session.owed == "archive"


def test_a_title_is_changed_and_taken_away(world: World, agent: Agent) -> None:
    session = ended_session(agent, world.alice)
    api = api_of(world.alice)
    assert api.patch(f"/sessions/{session.id}", {"title": "better"}).json()["title"] == "better"
    assert api.patch(f"/sessions/{session.id}", {"title": None}).json()["title"] is None
    assert api.patch(f"/sessions/{session.id}", {}).status_code == 422
    assert api.patch(f"/sessions/{session.id}", {"status": "failed"}).status_code == 422


def test_a_deleted_session_is_gone_but_for_the_trail(world: World, agent: Agent) -> None:
    session = ended_session(agent, world.alice, "secret words")
    api = api_of(world.alice)
    assert api.delete(f"/sessions/{session.id}").status_code == 204
    assert api.get(f"/sessions/{session.id}").status_code == 404
    assert listed(api.get("/sessions")) == []
    assert not SessionEvent.objects.exists()
    assert Entry.objects.filter(action="session:delete", target_id=session.id).exists()
    session.refresh_from_db()
    assert (session.owed, session.prompt, session.title) == ("delete", "", None)


def test_absent_foreign_and_unseen_answer_the_same(world: World, agent: Agent) -> None:
    session = invoked(agent, world.alice)
    nobody = make_user("nobody@acme.example", home=world.sales)
    answers = []
    for api, id_ in (
        (api_of(nobody), session.id),
        (api_of(world.mallory), session.id),
        (api_of(nobody), new_id()),
    ):
        error = api.get(f"/sessions/{id_}").json()["error"]
        answers.append({name: value for name, value in error.items() if name != "request_id"})
    assert answers[0] == answers[1] == answers[2]


def test_a_degraded_session_is_flagged_with_what_is_known(world: World, agent: Agent) -> None:
    session = invoked(agent, world.alice)
    AgentSession.objects.filter(pk=session.pk).update(mcp_server_count=1)
    trouble = event(
        "session.error", error={"type": "mcp_authentication_failed_error", "mcp_server_name": "sql", "message": "no"}
    )
    done = event("session.status_idle", stop_reason={"type": "end_turn"})
    observe(session, event("session.status_running"), trouble, *(said("x") for _ in range(10)), done)
    row = api_of(world.alice).get(f"/sessions/{session.id}").json()
    assert row["degradation_flagged"] is True
    assert row["degradation"]["causes"][0]["cause"] == "credential_refused"
    assert [row["id"] for row in listed(api_of(world.alice).get("/sessions", {"degradation_flagged": "true"}))] == [
        str(session.id)
    ]
    assert row["last_error"] is None
