"""Invoking an agent: what it answers, what it needs, and who is refused."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import AccessToken, User
from accounts.tokens import mint
from agents.kinds import SyncKind
from agents.models import Agent, Credential
from powerloom.audit.models import Entry
from powerloom.kernel.keys import keyed_hash
from powerloom.reconcile.models import SyncState
from sessions.models import AgentSession, SessionInput, StreamTicket
from sessions.rows import InvokedOut
from sessions.waiting import HEADER
from tests.connected import attach_server, make_server
from tests.declared import attach, make_agent, make_live, make_skill, make_version
from tests.recorded import event, invoked, live_agent, live_agent_elsewhere, observe, said
from tests.refusals import code
from tests.world import Api, World, api_of, bind, make_user

BODY = {"prompt": "Review the migration in PR #42.", "mode": "fire_and_forget", "title": "PR #42 review"}


def operator(world: World, role: str = "AgentOperator") -> User:
    user = make_user(f"{role.lower()}@acme.example", home=world.engineering)
    bind(user, role, world.engineering)
    return user


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
    credential = attach_server(world.alice, agent, make_server(world.engineering))
    make_live(agent.id, credential.id)
    api_of(world.alice).post(f"/agents/{agent.id}/invoke", BODY)
    assert AgentSession.objects.get().cma_vault_id == f"vault_{agent.id.hex[:12]}"


def test_a_vault_that_is_on_its_way_out_is_given_to_no_session(world: World, agent: Agent) -> None:
    credential = attach_server(world.alice, agent, make_server(world.engineering))
    make_live(agent.id, credential.id)
    Credential.objects.update(archived_at=timezone.now())
    api_of(world.alice).post(f"/agents/{agent.id}/invoke", BODY)
    assert AgentSession.objects.get().cma_vault_id == ""


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
