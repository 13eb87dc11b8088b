"""Sessions that act for the person who started them: what their tools do, for how long, and where the bound is."""

import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from django.utils import timezone

from accounts import delegations, tokens
from accounts.models import AccessToken, Binding, Delegation, User
from accounts.roles import expand
from agents.fleet.admission import admit
from agents.fleet_client import credential
from agents.models import Agent, CallOutcome, Credential, MCPCall, MCPServer
from approvals import replay
from approvals.tickets import actor_as_json, actor_from
from powerloom.audit.models import Entry
from powerloom.commands.bus import submit
from powerloom.kernel.ids import new_id
from powerloom.kernel.keys import derived_key
from sessions import calls
from sessions.commands import InterruptSession, InvokeAgent
from sessions.models import AgentSession, SessionEvent, SessionInput, Status
from tests.connected import attach_server, make_server
from tests.database import undone
from tests.declared import done, make_agent, make_skill, make_version
from tests.fleet import make_caller
from tests.held import decide, make_policy
from tests.meta import Talk, make_meta_agent, make_meta_server, talk
from tests.routes import TABLE
from tests.standing import standing
from tests.waiting_calls import asked, confirmed, of_server
from tests.wired import value_of
from tests.world import Api, World, actor_of, api_of, bind, console_of, make_token, make_user

pytestmark = pytest.mark.django_db

PROMPT = {"system_prompt": "Find prospects.", "model": "claude-sonnet-4-6"}


@standing
def meta(world: World) -> Agent:
    return make_meta_agent(world.alice, world.engineering)


def trade(one: Talk, tool: str = "list_agents", **changed: str) -> Any:
    body = {"bearer": one.bearer, "deployment_id": str(one.deployment.pk), "tool": tool, **changed}
    return Api(credential()).post("/auth/delegations/exchange", body)


def opens(token: str) -> bool:
    return bool(Api(token).get("/agents").status_code == 200)


# --- What the tools do


def test_the_story_of_the_sales_prospector(world: World, meta: Agent) -> None:
    emma = make_user("emma@acme.example", home=world.sales)
    bind(emma, "AgentOwner", world.sales)
    apollo, gmail = (make_server(world.sales, name) for name in ("apollo-mcp", "gmail-mcp"))
    skill = make_skill(world.alice, world.sales, "web-search")
    make_version(world.alice, skill)
    one = talk(meta, world.alice)

    _, tree = one.call("list_ous", under="/acme/sales")
    _, found = one.call("describe_user", email="emma@acme.example")
    _, servers = one.call("list_mcp_servers", ou_id=tree["ous"][0]["id"])
    _, skills = one.call("list_skills", name="web-search")
    assert {row["name"] for row in servers["mcp_servers"]} == {"apollo-mcp", "gmail-mcp"}
    assert skills["skills"][0]["current_version_number"] == 1
    owner = found["user"]["principal_id"]
    wanted = {"name": "sales-prospector", "ou_id": tree["ous"][0]["id"], "owner_principal_id": owner, **PROMPT}
    is_error, made = one.call("create_agent", **wanted)
    assert (is_error, made["status"], made["right"]) == (False, 201, "agent:create")
    agent = made["agent"]
    assert agent["cma_agent_id"] is None
    assert "the reconciler has not pushed this agent" in agent["note"]
    for server in (apollo, gmail):
        reference = {"agent_id": agent["id"], "mcp_server_registration_id": str(server.pk)}
        assert one.call("attach_mcp_server_to_agent", **reference)[1]["attachment"]["name"] == server.name
        assert one.call("create_credential", **reference)[1]["credential"]["source"] == "minted"
    one.call("attach_skill_to_agent", agent_id=agent["id"], skill_id=str(skill.pk))
    _, shown = one.call("describe_agent", agent_id=agent["id"])
    assert [row["name"] for row in shown["agent"]["mcp_servers"]] == ["apollo-mcp", "gmail-mcp"]
    assert shown["agent"]["owner_ref"] == "user:emma@acme.example"

    entries = [json.loads(body) for body in Entry.objects.filter(chain_id=world.acme.pk).values_list("body", flat=True)]
    doings = [body for body in entries if body["delegated_from_session"] == str(one.session.pk)]
    assert [body["action"] for body in doings] == [
        "agent:create",
        *("agent:attach_mcp_server", "credential:create", "credential:create") * 2,
        "agent:attach_skill",
    ]
    assert {(body["actor"]["kind"], body["actor"]["ref"]) for body in doings} == {("user", world.alice.ref)}
    assert made["request_id"] in {body["request_id"] for body in doings}


def test_what_is_refused_or_held_is_passed_on_raw(world: World, meta: Agent) -> None:
    bind(world.eve, "AgentOperator", world.engineering)
    eves, alices = talk(meta, world.eve), talk(meta, world.alice)
    here = {"name": "prospector", "ou_id": str(world.sales.pk), **PROMPT}
    is_error, denied = eves.call("create_agent", **here)
    assert (is_error, denied["status"]) == (True, 403)
    assert denied["said"].startswith(
        "API returned 403: insufficient permissions. You need agent:create on /acme/sales: "
    )
    assert denied["error"]["detail"]["explain"]["remedy"]
    refusal = Entry.objects.filter(chain_id=world.acme.pk, decision="denied").latest("seq")
    assert json.loads(refusal.body)["delegated_from_session"] == str(eves.session.pk)

    make_policy(world.alice, world.sales)
    is_error, held = alices.call("create_agent", **here)
    assert (is_error, held["status"], held["agent"]) == (False, 202, None)
    assert held["held"]["approval_request_id"] in held["held"]["message"]
    assert not Agent.objects.filter(name="prospector").exists()
    bearer = alices.token("create_agent")
    request = f"/approvals/{held['held']['approval_request_id']}"
    assert Api(bearer).post(f"{request}/approve").status_code == 401
    for user, opens_it in ((world.alice, True), (world.vera, False)):
        page = console_of(user).get(request).content.decode()
        assert (str(alices.session.pk) in page, f"/sessions/{alices.session.pk}" in page) == (True, opens_it)
    assert api_of(world.vera).post(f"{request}/approve").json()["status"] == "approved"

    is_error, absent = alices.call("describe_user", email="jane@typo.com")
    assert (is_error, absent["status"]) == (True, 404)
    assert absent["said"] == "No user found with email jane@typo.com. Check the email address and try again."
    make_agent(world.alice, world.engineering, "twin")
    taken = alices.call("create_agent", name="twin", ou_id=str(world.engineering.pk), **PROMPT)[1]
    assert (taken["status"], taken["error"]["code"]) == (409, "name_taken")


def test_lists_page_and_show_what_the_user_may_see(world: World, meta: Agent) -> None:
    for number in range(3):
        make_agent(world.alice, world.sales, f"seller-{number}")
    bind(world.eve, "AgentOperator", world.engineering)
    assert [row["name"] for row in talk(meta, world.eve).call("list_agents")[1]["agents"]] == ["powerloom-meta"]
    one, names, cursor = talk(meta, world.alice), [], None
    while True:
        _, page = one.call("list_agents", limit=3, cursor=cursor)
        names += [row["name"] for row in page["agents"]]
        if not (cursor := page["next_cursor"]):
            break
    assert names == ["seller-2", "seller-1", "seller-0", "powerloom-meta"]
    assert all("zeta" not in row["email"] for row in one.call("list_users")[1]["users"])


# --- For how long


def test_a_token_says_for_whom_where_and_for_what(world: World, meta: Agent) -> None:
    one = talk(meta, world.alice)
    answer = trade(one, "create_agent").json()
    said = jwt.decode(answer["access_token"], options={"verify_signature": False, "verify_aud": False})
    assert (said["sub"], said["act"]["sub"]) == (str(world.alice.pk), str(meta.pk))
    assert (said["sid"], said["org"]) == (str(one.session.pk), str(world.acme.pk))
    assert (said["aud"], said["tool"]) == ("powerloom-tool:create_agent", "create_agent")
    assert (said["exp"] - said["iat"], answer["expires_in"]) == (300, 300)
    assert trade(one, "create_agent").json()["access_token"] != answer["access_token"]


def _update(**columns: Any) -> Callable[[World, Talk], None]:
    def act(_world: World, one: Talk) -> None:
        AgentSession.objects.filter(pk=one.session.pk).update(**columns)

    return act


def _interrupt(world: World, one: Talk) -> None:
    done(InterruptSession(session_id=one.session.pk), world.bob)


def _disable(world: World, _one: Talk) -> None:
    User.objects.filter(pk=world.bob.pk).update(is_active=False)


def _new_password(world: World, _one: Talk) -> None:
    world.bob.set_password("another long passphrase")
    world.bob.save()


def _lose_the_right(world: World, _one: Talk) -> None:
    Binding.objects.filter(principal_id=world.bob.pk).update(ended_at=timezone.now())


def _archive(_world: World, one: Talk) -> None:
    Agent.objects.filter(pk=one.session.agent_id).update(archived_at=timezone.now())


ENDS: dict[str, Callable[[World, Talk], None]] = {
    **{status.value: _update(status=status) for status in Status if status not in {"running", "pending"}},
    "no turn under way": _update(turn_started_at=None),
    "timed out": _update(stop_reason="timeout"),
    "deleted": _update(deleted_at=timezone.now()),
    "interrupted": _interrupt,
    "the user disabled": _disable,
    "another password": _new_password,
    "the right lost": _lose_the_right,
    "the agent archived": _archive,
}


def test_whatever_ends_it_ends_it_at_once(world: World, meta: Agent) -> None:
    one = talk(meta, world.bob)
    token = one.token("list_agents")
    for name, act in ENDS.items():
        with undone():
            act(world, one)
            assert trade(one).status_code == 401, name
            assert not opens(token), name
            is_error, answer = one.call("list_agents")
            assert is_error, name
            assert answer["said"].startswith("API returned 401: This session acts for nobody now"), name
    assert trade(one).status_code == 200
    assert opens(token)


def test_a_token_that_is_old_altered_or_anothers_opens_nothing(world: World, meta: Agent) -> None:
    one, other = talk(meta, world.alice), talk(meta, world.bob)
    good = jwt.decode(one.token("list_agents"), options={"verify_signature": False, "verify_aud": False})
    key, now = delegations._key(), int(timezone.now().timestamp())

    def signed(secret: bytes = key, *, typ: str = delegations.TYPE, **changed: Any) -> str:
        claims = {name: value for name, value in {**good, **changed}.items() if value is not None}
        return jwt.encode(claims, secret, algorithm="HS256", headers={"typ": typ})

    assert opens(signed())
    bad = {
        "older than five minutes": signed(iat=now - 301, exp=now - 1),
        "without an end": signed(exp=None),
        "of another session": signed(sid=str(other.session.pk)),
        "of another user": signed(sub=str(world.bob.pk)),
        "of another agent": signed(act={"sub": str(world.alice.pk)}),
        "of another organization": signed(org=str(world.zeta.pk)),
        "of another tool": signed(tool="create_agent"),
        "for another audience": signed(aud="powerloom-api"),
        "for every audience": signed(aud=["powerloom-tool:list_agents", "powerloom-api"]),
        "of another type": signed(typ="at+jwt"),
        "of another key": signed(derived_key("access_jwt")),
        "altered": one.token("list_agents")[:-4] + "AAAA",
        "the bearer itself": one.bearer,
        "the fleet's credential": credential(),
    }
    assert [name for name, token in bad.items() if opens(token)] == []


def test_only_the_fleet_trades_and_only_what_is_whole(world: World, meta: Agent) -> None:
    one = talk(meta, world.alice)
    elsewhere = make_meta_server(world.engineering, "another")
    body = {"bearer": one.bearer, "deployment_id": str(one.deployment.pk), "tool": "list_ous"}
    for bearer in ("", one.bearer, make_token(world.alice), credential()[:-1]):
        assert Api(bearer).post("/auth/delegations/exchange", body).status_code == 401
    assert trade(one, bearer=f"{one.bearer}x").status_code == 401
    assert trade(one, deployment_id=str(elsewhere.deployment_id)).status_code == 401
    assert trade(one, tool="delete_everything").status_code == 422
    assert trade(one).headers["Cache-Control"] == "no-store"
    assert one.bearer not in str(Delegation.objects.values_list().get(session_id=one.session.pk))


def test_one_that_was_held_and_replayed_ends_with_the_password_too(world: World, meta: Agent) -> None:
    command = InvokeAgent(id=new_id(), agent_id=meta.pk, prompt="What is there?")
    submit(command, actor=actor_from(actor_as_json(actor_of(world.bob))))
    kept = delegations.actor_of(Delegation.objects.get(session_id=command.id))
    assert tokens.is_good(kept)
    _new_password(world, talk(meta, world.bob))
    assert not tokens.is_good(kept)


# --- Where the bound is


def test_a_narrow_token_stays_narrow_and_ends_what_it_started(world: World, meta: Agent) -> None:
    token = make_token(world.alice, actions=sorted(expand(["agent:*", "session:*"])), ou=world.engineering)
    narrow = tokens.authenticate(token, request_id="", address="")
    assert narrow is not None
    assert narrow.token_id is not None
    one, wide = talk(meta, narrow), talk(meta, world.alice)
    wanted = {"name": "x", **PROMPT}
    assert one.call("create_agent", ou_id=str(world.sales.pk), **wanted)[1]["status"] == 403
    assert one.call("create_agent", ou_id=str(world.platform.pk), **wanted)[1]["status"] == 201
    assert wide.call("create_agent", ou_id=str(world.sales.pk), **wanted)[1]["status"] == 201

    def go_on(api: Api, with_what: Talk) -> int:
        answer = api.post(f"/sessions/{with_what.session.pk}/messages", {"text": "go on"})
        return int(answer.status_code)

    assert go_on(Api(token), wide) == 403, "its tools would act by more than this token gives"
    assert go_on(Api(token), one) == 200
    assert go_on(api_of(world.alice), one) == 200, "they still act by no more than what it was started with"
    make_policy(world.alice, world.platform)
    held = one.call("create_agent", ou_id=str(world.platform.pk), name="late", **PROMPT)[1]["held"]
    AccessToken.objects.filter(pk=narrow.token_id).update(revoked_at=timezone.now())
    assert one.call("list_ous")[1]["status"] == 401
    api_of(world.vera).post(f"/approvals/{held['approval_request_id']}/approve")
    replay.run()
    request = api_of(world.vera).get(f"/approvals/{held['approval_request_id']}").json()
    assert (request["status"], request["delegated_from_session"]) == ("failed", str(one.session.pk))


def test_an_agent_is_nobody_to_act_for(world: World, meta: Agent) -> None:
    other = make_agent(world.alice, world.engineering)
    token = api_of(world.alice).post(f"/principals/{other.pk}/tokens", {"name": "runs"}).json()["raw_token"]
    answer = Api(token).post(f"/agents/{meta.pk}/invoke", {"prompt": "hello"})
    assert answer.status_code == 403
    assert "an agent is nobody to act for" in answer.json()["error"]["message"]


def test_an_agents_own_credential_opens_the_listing_alone(world: World, meta: Agent) -> None:
    one = talk(meta, world.alice)
    standing = value_of(Credential.objects.get(agent=meta))
    assert (admitted := admit(standing, one.deployment.pk)) is not None
    assert (admitted.bearer, admitted.agent_id) == ("", meta.pk)
    assert (own := admit(one.bearer, one.deployment.pk)) is not None
    assert (own.bearer, own.session_id) == (one.bearer, one.session.pk)
    another = make_meta_server(world.engineering, "another").deployment
    assert another is not None
    assert admit(one.bearer, another.pk) is None
    assert admit(one.bearer, make_caller(world.alice, world.engineering).deployment.pk) is None
    AgentSession.objects.filter(pk=one.session.pk).update(status=Status.IDLE_END_TURN)
    assert admit(one.bearer, one.deployment.pk) is None


# --- Whose the session is

SESSION_ROUTES = sorted(route for route in TABLE if "{session_id}" in route)
CAST = ("alice", "bob", "vera", "eve", "mallory")
BODIES = {
    "PATCH /sessions/{session_id}": {"title": "Another"},
    "POST /sessions/{session_id}/messages": {"text": "go on"},
    "POST /sessions/{session_id}/confirmations": {"tool_use_id": "none", "result": "allow"},
}


def test_only_its_user_goes_on_with_it_and_only_auditors_read_it_too(world: World, meta: Agent) -> None:
    auditor = make_user("audrey@acme.example", home=world.sales)
    both = make_user("ada@acme.example", home=world.sales)
    for who in (auditor, both):
        bind(who, "Auditor", world.root)
    bind(both, "OrgAdmin", world.root)
    session = talk(meta, world.bob).session
    cast = {name: getattr(world, name) for name in CAST} | {"auditor": auditor, "both": both}
    for route in SESSION_ROUTES:
        method, _, path = route.replace("{session_id}", str(session.pk)).partition(" ")
        reads = method == "GET" or path.endswith("/tickets")
        for name, user in cast.items():
            with undone():
                send = getattr(api_of(user), method.lower())
                answer = send(path, *([BODIES.get(route, {})] if method != "GET" else []))
                may = name == "bob" or (reads and name in {"auditor", "both"})
                is_absent = answer.status_code == 404 and "tool_use_id" not in answer.content.decode()
                if route.endswith("/confirmations") and may:
                    continue  # nothing asks, so its user finds nothing to answer
                assert is_absent is not may, (route, name, answer.content)
    for name, user in cast.items():
        listed = {row["id"] for row in api_of(user).get("/sessions").json()}
        assert (str(session.pk) in listed) is (name in {"bob", "auditor", "both"}), name
        body = {"prompt": "hello", "parent_session_id": str(session.pk)}
        answer = api_of(user).post(f"/agents/{meta.pk}/invoke", body)
        assert name == "bob" or answer.status_code in {403, 404}, name
    assert api_of(both).post(f"/agents/{meta.pk}/invoke", body).status_code == 404


def test_the_log_of_calls_names_a_session_to_who_may_read_it(world: World, meta: Agent) -> None:
    auditor = make_user("audrey@acme.example", home=world.sales)
    for role in ("Auditor", "OUAdmin"):
        bind(auditor, role, world.root)
    one = talk(meta, world.bob)
    MCPCall.objects.create(
        organization=world.acme,
        deployment=one.deployment,
        agent_id=meta.pk,
        session_id=one.session.pk,
        tool="list_agents",
        outcome=CallOutcome.OK,
        milliseconds=3,
        created_at=timezone.now(),
    )
    server = MCPServer.objects.get(deployment=one.deployment)
    for user, knows in ((world.alice, False), (world.bob, True), (auditor, True)):
        [call] = api_of(user).get(f"/mcp-deployments/{one.deployment.pk}/calls").json()
        assert (call["agent_id"], call["session_id"]) == (str(meta.pk), str(one.session.pk) if knows else None)
        page = console_of(user).get(f"/mcp-servers/{server.pk}?tab=calls").content.decode()
        assert ("list_agents" in page, str(one.session.pk) in page) == (True, knows), user


def test_a_call_of_it_that_asks_is_shown_to_its_user_and_auditors_and_answered_by_its_user_alone(
    world: World, meta: Agent
) -> None:
    auditor = make_user("audrey@acme.example", home=world.sales)
    for role in ("Auditor", "OUAdmin"):
        bind(auditor, role, world.root)
    standing = api_of(world.alice).post(f"/principals/{meta.pk}/tokens", {"name": "runs"}).json()["raw_token"]
    by_name = make_token(world.bob, actions=sorted({*expand(["session:*"]), "approval:decide"}))
    cast = {name: api_of(getattr(world, name)) for name in CAST}
    cast |= {"auditor": api_of(auditor), "the agent itself": Api(standing), "another token": Api(by_name)}
    call = of_server("powerloom-meta-server", "create_agent")
    session, request = asked(meta, world.bob, call, title="A secret title")
    row = api_of(world.bob).get(f"/approvals/{request.pk}").json()
    assert (row["approvers"], row["tool_call"]["session_title"]) == (["bob@acme.example"], "A secret title")
    for name, api in cast.items():
        reads = name in {"bob", "auditor", "another token"}
        shown = api.get(f"/approvals/{request.pk}")
        assert shown.status_code == (200 if reads else 404), (name, shown.content)
        for tab in ("to_approve", "recent"):
            listed = [one["id"] for one in api.get(f"/approvals?tab={tab}").json()]
            assert reads or str(request.pk) not in listed, (name, tab)
        for verdict in ("approve", "reject"):
            with undone():
                answer = api.post(f"/approvals/{request.pk}/{verdict}", {"comment": ""})
                expected = 200 if name == "bob" else 403 if reads else 404
                assert answer.status_code == expected, (name, verdict, answer.content)
        with undone():
            answer = confirmed(api, session, call)
            assert answer.status_code == {"bob": 200, "another token": 403}.get(name, 404), (name, answer.content)
    events = SessionEvent.objects.filter(session=session)
    words = calls.against_answering(actor_of(auditor), session, events)[call["id"]]
    assert words == "This session acts for who invoked the agent, who alone answers its calls."
    for user, place in ((world.alice, "/audit"), (world.vera, "/approvals")):
        assert "A secret title" not in api_of(user).get(place).content.decode()
    with undone():
        bind(world.bob, "OUAdmin", world.root, decision="deny")
        assert decide(world.bob, request).status_code == 404, "a deny wins, as anywhere"
    assert decide(world.bob, request).json()["status"] == "approved"
    assert replay.run() == 1
    assert SessionInput.objects.filter(session=session, kind="confirmation", author_ref=world.bob.ref).exists()


def test_four_eyes_and_a_session_for_two_eyes_do_not_go_together(world: World, meta: Agent) -> None:
    strict = {"permission": "always_ask", "four_eyes": True}
    attached = meta.server_attachments.get().server_id
    own = make_agent(world.alice, world.engineering, "own")
    attach_server(world.alice, own, make_server(world.engineering), **strict)
    for agent in (meta, own):
        body = {"mcp_server_registration_id": str(attached), **(strict if agent == meta else {})}
        answer = api_of(world.alice).post(f"/agents/{agent.pk}/mcp-servers", body)
        assert (answer.status_code, "four eyes" in answer.content.decode()) == (422, True), answer.content
