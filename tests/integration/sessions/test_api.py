"""Sessions over REST: invoked, read, listed, written to, ended; and every refusal in its place."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import OU, AccessToken, Binding, User
from accounts.tokens import mint
from agents.kinds import SyncKind
from agents.models import Agent
from powerloom.audit.models import Entry
from powerloom.kernel.ids import new_id
from powerloom.kernel.keys import keyed_hash
from powerloom.reconcile.models import SyncState
from sessions.models import AgentSession, SessionEvent, SessionInput, StreamTicket
from sessions.rows import InvokedOut, SessionOut
from sessions.waiting import HEADER
from tests.declared import attach, make_agent, make_live, make_skill, make_version
from tests.recorded import ended_session, event, invoked, live_agent, observe, running_session, said
from tests.world import Api, World, api_of, bind, make_token, make_user

BODY = {"prompt": "Review the migration in PR #42.", "mode": "fire_and_forget", "title": "PR #42 review"}


@pytest.fixture
def agent(world: World) -> Agent:
    return live_agent(world)


def listed(response: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(response.getvalue())
    return rows


def code(response: Any) -> str:
    found: str = response.json()["error"]["code"]
    return found


def operator(world: World, role: str = "AgentOperator", at: OU | None = None) -> User:
    user = make_user(f"{role.lower()}@acme.example", home=world.engineering)
    bind(user, role, at or world.engineering)
    return user


# --- Invoke


def test_invoking_answers_at_once_with_a_ticket(world: World, agent: Agent) -> None:
    response = api_of(world.alice).post(f"/agents/{agent.id}/invoke", BODY)
    assert response.status_code == 201
    answer = response.json()
    InvokedOut.model_validate(answer)
    assert (answer["status"], answer["mode"]) == ("pending", "fire_and_forget")
    assert answer["ws_url"] == f"/sessions/{answer['session_id']}/stream?ticket={answer['ws_ticket']}"
    assert HEADER not in response.headers
    session = AgentSession.objects.get(pk=answer["session_id"])
    assert (session.title, session.invoked_by_ref, session.agent_version) == (
        "PR #42 review",
        "user:alice@acme.example",
        1,
    )
    assert SessionInput.objects.get(session=session).event["content"][0]["text"] == BODY["prompt"]


def test_the_ticket_is_kept_only_as_a_keyed_hash(world: World, agent: Agent) -> None:
    ticket = api_of(world.alice).post(f"/agents/{agent.id}/invoke", BODY).json()["ws_ticket"]
    assert StreamTicket.objects.get().hmac == keyed_hash("stream-ticket", ticket)
    assert ticket not in str(list(StreamTicket.objects.values()))


def test_the_title_may_be_null_and_the_prompt_is_all_it_takes(world: World, agent: Agent) -> None:
    response = api_of(world.alice).post(f"/agents/{agent.id}/invoke", {"prompt": "x", "title": None})
    assert response.status_code == 201
    assert AgentSession.objects.get().max_duration == 600


@pytest.mark.parametrize(("agents_own", "asked", "limit"), [(30, None, 30), (30, 20, 20), (30, 60, 30), (None, 60, 60)])
def test_the_lower_of_the_limits_of_agent_and_invocation_counts(
    world: World, agents_own: int | None, asked: int | None, limit: int
) -> None:
    agent = live_agent(world)
    api = api_of(world.alice)
    assert api.patch(f"/agents/{agent.id}", {"max_duration": agents_own}).json()["max_duration"] == agents_own
    make_live(agent.id)
    api.post(f"/agents/{agent.id}/invoke", {"prompt": "x", **({"max_duration": asked} if asked else {})})
    assert AgentSession.objects.get().max_duration == limit


def test_a_session_is_given_the_vault_of_its_agent(world: World, agent: Agent) -> None:
    SyncState.objects.create(kind=SyncKind.VAULT, object_id=agent.id, organization_id=agent.organization_id)
    make_live(agent.id)
    api_of(world.alice).post(f"/agents/{agent.id}/invoke", BODY)
    assert AgentSession.objects.get().cma_vault_id == f"vault_{agent.id.hex[:12]}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": ""},
        {"prompt": "x" * 100_001},
        {"prompt": 3},
        {"prompt": "a\x00b"},
        {"prompt": "x", "title": "y" * 256},
        {"prompt": "x", "mode": "later"},
        {"prompt": "x", "max_duration": 601},
        {"prompt": "x", "max_duration": 0},
        {"prompt": "x", "agent_version": 0},
        {"prompt": "x", "parent_session_id": "no"},
        {"prompt": "x", "unknown": 1},
        {"title": "no prompt"},
        [],
    ],
)
def test_a_wrong_body_is_refused_and_starts_nothing(world: World, agent: Agent, wrong: Any) -> None:
    response = api_of(world.alice).post(f"/agents/{agent.id}/invoke", wrong)
    assert response.status_code in {400, 422}
    assert not AgentSession.objects.exists()


def test_an_agent_that_is_not_live_is_a_conflict_that_says_why(world: World) -> None:
    agent = make_agent(world.alice, world.engineering)
    response = api_of(world.alice).post(f"/agents/{agent.id}/invoke", BODY)
    assert (response.status_code, code(response)) == (409, "not_ready")
    assert "waiting to be pushed" in response.json()["error"]["message"]
    make_live(agent.id)
    response = api_of(world.alice).post(f"/agents/{agent.id}/invoke", BODY)
    assert "environment" in response.json()["error"]["message"]


def test_a_parked_agent_is_not_invoked(world: World, agent: Agent) -> None:
    SyncState.objects.filter(object_id=agent.id).update(parked_at=timezone.now(), last_error="bad model")
    response = api_of(world.alice).post(f"/agents/{agent.id}/invoke", BODY)
    assert response.status_code == 409
    assert "bad model" in response.json()["error"]["message"]


def test_who_may_not_invoke_is_told_so_and_who_may_not_see_finds_nothing(world: World, agent: Agent) -> None:
    denied = api_of(world.eve).post(f"/agents/{agent.id}/invoke", BODY)
    assert (denied.status_code, denied.json()["error"]["detail"]["permission"]) == (403, "agent:invoke")
    for stranger in (world.mallory, make_user("nobody@acme.example", home=world.sales)):
        assert api_of(stranger).post(f"/agents/{agent.id}/invoke", BODY).status_code == 404
    assert api_of(world.alice).post(f"/agents/{uuid4()}/invoke", BODY).status_code == 404
    assert not AgentSession.objects.exists()


def test_a_disabled_owner_stops_the_agent(world: World) -> None:
    agent = make_agent(world.bob, world.engineering, "bobs")
    live_agent(world)
    make_live(agent.id)
    User.objects.filter(pk=world.bob.id).update(is_active=False)
    assert api_of(world.alice).post(f"/agents/{agent.id}/invoke", BODY).status_code in {403, 409}


def test_a_skill_that_the_owner_may_not_use_any_more_stops_the_agent(world: World) -> None:
    owner = operator(world, "AgentOwner")
    agent = make_agent(owner, world.engineering, "lent")
    skill = make_skill(world.alice, world.engineering)
    make_version(world.alice, skill)
    attach(owner, agent, skill)
    live_agent(world)
    make_live(agent.id)
    assert api_of(world.alice).post(f"/agents/{agent.id}/invoke", BODY).status_code == 201
    bind(owner, "SkillUser", world.engineering, decision="deny")
    response = api_of(world.alice).post(f"/agents/{agent.id}/invoke", BODY)
    assert (response.status_code, response.json()["error"]["detail"]["permission"]) == (403, "skill:use")


def test_a_parent_must_be_in_sight(world: World, agent: Agent) -> None:
    parent = invoked(agent, world.alice)
    caller = operator(world)
    body = {**BODY, "parent_session_id": str(parent.id)}
    made = api_of(caller).post(f"/agents/{agent.id}/invoke", body)
    assert made.status_code == 201
    assert AgentSession.objects.get(pk=made.json()["session_id"]).parent_session_id == parent.id
    for unseen in (uuid4(), invoked(live_agent_elsewhere(world), world.alice).id):
        response = api_of(caller).post(f"/agents/{agent.id}/invoke", {**BODY, "parent_session_id": str(unseen)})
        assert (response.status_code, code(response)) == (404, "not_found")


def live_agent_elsewhere(world: World) -> Agent:
    agent = make_agent(world.alice, world.sales, "seller")
    make_live(agent.id)
    return agent


def test_a_repeat_with_the_same_key_is_the_same_session_with_a_new_ticket(world: World, agent: Agent) -> None:
    api = api_of(world.alice)
    first, again = (api.post(f"/agents/{agent.id}/invoke", BODY, HTTP_IDEMPOTENCY_KEY="once").json() for _ in range(2))
    assert first["session_id"] == again["session_id"]
    assert first["ws_ticket"] != again["ws_ticket"]
    assert AgentSession.objects.count() == 1
    other = api.post(f"/agents/{agent.id}/invoke", {"prompt": "else"}, HTTP_IDEMPOTENCY_KEY="once")
    assert (other.status_code, code(other)) == (409, "idempotency_key_reused")


def test_a_dry_run_starts_nothing(world: World, agent: Agent) -> None:
    response = api_of(world.alice).post(f"/agents/{agent.id}/invoke?dry_run=true", BODY | {"mode": "sync"})
    assert response.json()["dry_run"] is True
    assert HEADER not in response.headers
    assert not AgentSession.objects.exists()


def test_an_agent_invokes_by_its_own_token_as_itself(world: World, agent: Agent) -> None:
    caller = make_agent(world.alice, world.engineering, "caller", agent_kind="service")
    bind(caller.id, "AgentOperator", world.engineering)
    token, prefix, hmac = mint()
    AccessToken.objects.create(
        organization=world.acme, principal_id=caller.id, name="its own", prefix=prefix, hmac=hmac
    )
    answer = Api(token).post(f"/agents/{agent.id}/invoke", BODY)
    assert answer.status_code == 201
    row = Api(token).get(f"/sessions/{answer.json()['session_id']}").json()
    assert row["invoked_by"] == "agent:/acme/engineering/caller"


def test_the_number_of_sessions_under_way_is_limited(world: World, agent: Agent, settings: Any) -> None:
    settings.MAX_SESSIONS_PER_PRINCIPAL = 1
    api = api_of(world.alice)
    assert api.post(f"/agents/{agent.id}/invoke", BODY).status_code == 201
    refused = api.post(f"/agents/{agent.id}/invoke", BODY)
    assert (refused.status_code, code(refused)) == (429, "rate_limited")
    assert refused.headers["Retry-After"]
    assert api_of(operator(world)).post(f"/agents/{agent.id}/invoke", BODY).status_code == 201


def test_an_organization_has_its_own_limit_and_spares_its_neighbors(world: World, agent: Agent, settings: Any) -> None:
    settings.MAX_SESSIONS_PER_ORGANIZATION = 1
    first = invoked(agent, world.alice)
    caller = api_of(operator(world))
    refused = caller.post(f"/agents/{agent.id}/invoke", BODY)
    assert (refused.status_code, code(refused)) == (429, "rate_limited")
    theirs = make_agent(world.mallory, world.zeta.ous.get())
    make_live(theirs.id, kinds={SyncKind.ENVIRONMENT})
    assert api_of(world.mallory).post(f"/agents/{theirs.id}/invoke", BODY).status_code == 201
    observe(first, event("session.status_running"), event("session.status_idle", stop_reason={"type": "end_turn"}))
    assert caller.post(f"/agents/{agent.id}/invoke", BODY).status_code == 201


def test_invoking_is_audited_without_the_prompt(world: World, agent: Agent) -> None:
    api_of(world.alice).post(f"/agents/{agent.id}/invoke", BODY)
    entry = Entry.objects.get(action="agent:invoke")
    body = json.loads(entry.body)
    assert body["after"]["agent_id"] == str(agent.id)
    assert BODY["prompt"] not in entry.body


def test_events_cost_nothing_in_the_audit(world: World, agent: Agent) -> None:
    session = invoked(agent, world.alice)
    before = Entry.objects.count()
    observe(session, event("session.status_running"), *(said(str(number)) for number in range(20)))
    assert Entry.objects.count() == before


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
