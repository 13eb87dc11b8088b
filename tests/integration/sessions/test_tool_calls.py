"""Calls that ask, in the inbox: opened once, decided by whom they concern, answered once, gone with their session."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Binding, User
from agents.kinds import SyncKind
from agents.models import Agent
from approvals import expiry, replay
from approvals.models import ApprovalRequest, Notice
from powerloom.audit.models import Entry
from powerloom.audit.queries import payload
from powerloom.commands.bus import submit
from powerloom.kernel.errors import Conflict, Denied
from powerloom.kernel.refs import Actor
from sessions import asking
from sessions.commands import AnswerToolCall
from sessions.models import AgentSession, SessionEvent, SessionInput, ToolCall
from tests.connected import attach_server, make_server
from tests.declared import make_live
from tests.held import decide
from tests.recorded import DONE, event, observe
from tests.waiting_calls import asked, built_in, confirmed, of_server, request_of, requires, waiting
from tests.world import World, actor_of, api_of, bind, make_user


def answers() -> list[dict[str, Any]]:
    return list(SessionInput.objects.filter(kind="confirmation").order_by("pk").values_list("event", flat=True))


def statuses() -> list[str]:
    return list(ApprovalRequest.objects.order_by("pk").values_list("status", flat=True))


def strict(world: World, agent: Agent) -> Agent:
    """The agent with a server whose calls want four eyes."""
    server = make_server(world.engineering)
    credential = attach_server(world.alice, agent, server, permission="always_ask", four_eyes=True)
    make_live(agent.id, credential.id, kinds={SyncKind.ENVIRONMENT})
    agent.refresh_from_db()
    return agent


# --- Into the inbox


def test_a_call_that_asks_is_shown_whole_and_exactly(world: World, agent: Agent) -> None:
    call = built_in(arguments={"command": "echo \u202egnp.exe\x07"})
    session, request = asked(agent, world.bob, call, title="Clean up")
    row = api_of(world.vera).get(f"/approvals/{request.pk}").json()
    assert (row["resource_kind"], row["action"], row["status"]) == ("tool_call", "confirm", "pending")
    assert row["requester_ref"] == agent.ref
    assert row["requester_ref"].startswith("agent:/acme/engineering/")
    assert row["pending_payload"] == {"name": "bash"}
    shown = row["tool_call"]
    readable = shown.pop("readable")
    assert shown == {
        "tool": "bash",
        "server": None,
        "arguments": {"command": "echo \u202egnp.exe\x07"},
        "tool_use_id": call["id"],
        "agent_id": str(agent.id),
        "agent": agent.ref,
        "agent_version": session.agent_version,
        "session_id": str(session.id),
        "session_url": f"/sessions/{session.id}",
        "session_title": "Clean up",
        "invoked_by": "user:bob@acme.example",
        "four_eyes": False,
    }
    assert "⟦U+202E⟧gnp.exe" in readable["arguments"]
    assert "\u202e" not in readable["arguments"]
    page = api_of(world.vera).get("/approvals").json()
    assert [one["id"] for one in page] == [str(request.pk)]


def test_every_call_of_a_server_says_which_server(world: World, agent: Agent) -> None:
    _, request = asked(strict(world, agent), world.bob, of_server())
    row = api_of(world.vera).get(f"/approvals/{request.pk}").json()
    assert (row["target"]["name"], row["tool_call"]["server"], row["tool_call"]["tool"]) == (
        "notes.echo",
        "notes",
        "echo",
    )


def test_a_call_is_opened_once_however_often_it_is_told_and_looked_at(world: World, agent: Agent) -> None:
    first, second = built_in(), built_in("write")
    session = waiting(agent, world.bob, first, second)
    for _ in range(2):
        asking.follow()
        observe(session, requires(first, second))
        AgentSession.objects.update(asks_due_at=timezone.now())
    asking.follow()
    assert ToolCall.objects.count() == ApprovalRequest.objects.count() == 2
    entries = Entry.objects.filter(action="approval:request")
    assert {entry.actor_ref for entry in entries} == {agent.ref}
    assert entries.count() == 2
    assert Notice.objects.filter(event="asked").count() == 2


def test_what_a_killed_sweep_left_is_taken_up_when_its_lease_is_over(world: World, agent: Agent) -> None:
    waiting(agent, world.bob, built_in())
    AgentSession.objects.update(asks_due_at=timezone.now() + asking.LEASE)
    assert asking.follow() == 0
    AgentSession.objects.update(asks_due_at=timezone.now() - timedelta(seconds=1))
    assert asking.follow() == 1
    assert statuses() == ["pending"]


def test_idle_it_costs_one_query(world: World, agent: Agent) -> None:
    asked(agent, world.bob, built_in())
    with CaptureQueriesContext(connection) as captured:
        assert asking.follow() == 0
    assert len(captured) == 1


def test_only_calls_that_ask_come_into_the_inbox(world: World, agent: Agent) -> None:
    allowed = event("agent.tool_use", name="read", input={}, evaluated_permission="allow")
    custom = event("agent.custom_tool_use", name="mine", input={})
    waiting(agent, world.bob, allowed, custom)
    assert asking.follow() == 1
    assert statuses() == []


def test_agents_that_ask_take_no_room_from_people(world: World, agent: Agent, settings: Any) -> None:
    settings.MAX_PENDING_PER_ORGANIZATION = settings.MAX_PENDING_PER_REQUESTER = 1
    waiting(agent, world.bob, built_in(), built_in("write"))
    asking.follow()
    assert statuses() == ["pending", "pending"]


# --- Who decides


def decider(world: World, role: str) -> User:
    user = make_user(f"{role.lower()}@acme.example", home=world.sales)
    bind(user, role, world.engineering)
    return user


def test_the_invoker_decides_without_any_binding(world: World, agent: Agent) -> None:
    invoker = decider(world, "AgentOperator")
    session, request = asked(agent, invoker, built_in())
    Binding.objects.filter(principal_id=invoker.pk).update(ended_at=timezone.now())
    assert [one["id"] for one in api_of(invoker).get("/approvals").json()] == [str(request.pk)]
    assert decide(invoker, request).json()["status"] == "approved"
    assert replay.run() == 1
    assert [one["result"] for one in answers()] == ["allow"]
    assert session.pk == SessionInput.objects.get(kind="confirmation").session_id


@pytest.mark.parametrize("role", ["OrgAdmin", "OUAdmin", "AgentOwner", "Approver"])
def test_holders_of_the_right_decide(world: World, agent: Agent, role: str) -> None:
    _, request = asked(agent, world.bob, built_in())
    assert decide(decider(world, role), request).json()["status"] == "approved"
    replay.run()
    assert [one["result"] for one in answers()] == ["allow"]


def test_others_may_not(world: World, agent: Agent) -> None:
    _, request = asked(agent, world.bob, built_in())
    assert decide(decider(world, "Auditor"), request).status_code == 403
    assert decide(world.eve, request).status_code == 404
    assert decide(world.mallory, request).status_code == 404
    assert decide(decider(world, "AgentOperator"), request).status_code == 404


def test_a_deny_of_the_right_wins(world: World, agent: Agent) -> None:
    admin = decider(world, "OUAdmin")
    _, request = asked(agent, world.bob, built_in())
    assert api_of(admin).get("/approvals").json() != []
    bind(admin, "AgentOwner", world.root, decision="deny")
    assert api_of(admin).get("/approvals").json() == []
    assert decide(admin, request).status_code == 403


def test_with_four_eyes_the_invoker_is_not_asked(world: World, agent: Agent) -> None:
    call = of_server()
    session, request = asked(strict(world, agent), world.bob, call)
    assert api_of(world.bob).get("/approvals").json() == []
    assert decide(world.bob, request).status_code == 403
    refused = confirmed(api_of(world.bob), session, call)
    assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, "tool_call:confirm")
    assert "bob@acme.example" not in api_of(world.vera).get(f"/approvals/{request.pk}").json()["approvers"]
    assert decide(world.vera, request).json()["status"] == "approved"
    replay.run()
    assert [one["result"] for one in answers()] == ["allow"]


def test_four_eyes_are_the_servers_alone_unless_it_cannot_be_told(world: World, agent: Agent) -> None:
    strict(world, agent)
    _, own = asked(agent, world.bob, built_in())
    _, unknown = asked(agent, world.bob, of_server("renamed"))
    assert own.askers == [str(agent.id)]
    assert str(world.bob.id) in unknown.askers


def test_on_the_session_itself_the_same_people_answer(world: World, agent: Agent) -> None:
    call = built_in()
    session, _ = asked(agent, world.bob, call)
    operator = decider(world, "AgentOperator")
    refused = confirmed(api_of(operator), session, call)
    assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, "tool_call:confirm")
    assert confirmed(api_of(world.mallory), session, call).status_code == 404
    assert confirmed(api_of(world.bob), session, call).status_code == 200


def test_a_right_that_was_lost_before_the_answer_is_sent_does_not_count(world: World, agent: Agent) -> None:
    _, request = asked(agent, world.bob, built_in())
    decide(world.vera, request)
    Binding.objects.filter(principal_id=world.vera.pk).update(ended_at=timezone.now())
    replay.run()
    request.refresh_from_db()
    assert request.status == "failed"
    assert answers() == []


# --- The answer


def test_a_no_is_sent_with_its_reason(world: World, agent: Agent) -> None:
    call = built_in()
    _, request = asked(agent, world.bob, call)
    assert decide(world.vera, request, "reject", "not on production").json()["status"] == "rejected"
    assert (replay.run(), replay.run()) == (1, 0)
    denied = {"type": "user.tool_confirmation", "tool_use_id": call["id"], "result": "deny"}
    assert answers() == [denied | {"deny_message": "not on production"}]
    assert SessionInput.objects.get(kind="confirmation").author_ref == world.vera.ref


def test_no_answer_in_time_is_a_no(world: World, agent: Agent) -> None:
    _, request = asked(agent, world.bob, built_in())
    ApprovalRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert expiry.sweep() == 1
    assert replay.run() == 1
    assert [(one["result"], one["deny_message"]) for one in answers()] == [("deny", "Nobody answered in time.")]
    assert decide(world.vera, request).status_code == 409


def test_the_trail_tells_request_decision_answer_and_outcome(world: World, agent: Agent) -> None:
    _, request = asked(agent, world.bob, built_in())
    decide(world.vera, request)
    replay.run()
    told = Entry.objects.filter(chain_id=world.acme.id).order_by("seq").values_list("action", "actor_ref")
    assert list(told)[-4:] == [
        ("approval:request", agent.ref),
        ("approval:decide", "user:vera@acme.example"),
        ("tool_call:answer", "system:confirmations"),
        ("approval:replay", "system:confirmations"),
    ]
    assert Entry.objects.filter(approval_request_id=request.pk).count() == 4
    row = api_of(world.vera).get(f"/approvals/{request.pk}").json()
    assert (row["status"], row["outcome"]) == ("approved", "applied")


def test_several_are_answered_in_one_go_and_each_by_itself(world: World, agent: Agent) -> None:
    calls = [built_in(name) for name in ("bash", "write", "edit")]
    session = waiting(agent, world.bob, *calls)
    asking.follow()
    ids = [str(request_of(session, call).pk) for call in calls]
    decide(world.vera, request_of(session, calls[0]), "reject")
    absent = str(session.pk)
    body = {"ids": [*ids, absent, ids[1]], "verdict": "approve", "comment": "fine"}
    results = api_of(world.vera).post("/approvals/bulk-decide", body).json()["results"]
    told = [(one["id"], one["status"], one["error"] and one["error"]["code"]) for one in results]
    assert told == [
        (ids[0], None, "already_decided"),
        (ids[1], "approved", None),
        (ids[2], "approved", None),
        (absent, None, "not_found"),
    ]
    replay.run()
    assert sorted(one["result"] for one in answers()) == ["allow", "allow", "deny"]
    theirs = api_of(world.mallory).post("/approvals/bulk-decide", body).json()["results"]
    assert {one["error"]["code"] for one in theirs} == {"not_found"}
    assert api_of(world.vera).post("/approvals/bulk-decide", body | {"ids": []}).status_code == 422


def test_an_answer_on_the_session_settles_the_request(world: World, agent: Agent) -> None:
    first, second = built_in(), built_in("write")
    session = waiting(agent, world.bob, first, second)
    asking.follow()
    bob = api_of(world.bob)
    assert confirmed(bob, session, first).status_code == 200
    assert confirmed(bob, session, second, "deny", deny_message="no").status_code == 200
    yes, no = request_of(session, first), request_of(session, second)
    assert (yes.status, yes.outcome, no.status) == ("approved", "applied", "rejected")
    row = api_of(world.vera).get(f"/approvals/{no.pk}").json()
    assert [(one["decider_ref"], one["comment"]) for one in row["decisions"]] == [("user:bob@acme.example", "no")]
    assert decide(world.vera, yes).status_code == decide(world.vera, no).status_code == 409
    assert replay.run() == 0
    assert [one["result"] for one in answers()] == ["allow", "deny"]


def test_after_a_decision_in_the_inbox_the_session_takes_no_other(world: World, agent: Agent) -> None:
    call = built_in()
    session, request = asked(agent, world.bob, call)
    decide(world.vera, request, "reject")
    late = confirmed(api_of(world.bob), session, call)
    assert (late.status_code, late.json()["error"]["code"]) == (409, "already_decided")
    replay.run()
    assert [one["result"] for one in answers()] == ["deny"]


def test_what_was_answered_before_it_reached_the_inbox_never_comes_there(world: World, agent: Agent) -> None:
    call = built_in()
    session = waiting(agent, world.bob, call)
    assert confirmed(api_of(world.bob), session, call).status_code == 200
    asking.follow()
    assert statuses() == []
    assert confirmed(api_of(world.bob), session, call).status_code == 409


# --- What is bound


def command_of(request: ApprovalRequest, **other: Any) -> AnswerToolCall:
    return AnswerToolCall.model_validate(request.commands[0]["data"] | other)


def test_nobody_but_the_system_sends_an_answer_and_only_the_one_that_was_decided(world: World, agent: Agent) -> None:
    _, request = asked(agent, world.bob, built_in())
    with pytest.raises(Denied):
        submit(command_of(request), actor=actor_of(world.alice))
    system = Actor.system("test", organization_id=world.acme.id)
    for result in ("allow", "deny"):
        with pytest.raises(Conflict, match="pending"):
            submit(command_of(request, result=result), actor=system)
    assert answers() == []


def other_arguments(session: AgentSession) -> None:
    stored = SessionEvent.objects.get(session=session, event_type="agent.tool_use")
    SessionEvent.objects.filter(pk=stored.pk).update(payload=stored.payload | {"input": {"command": "rm -rf /"}})


def other_tool(session: AgentSession) -> None:
    stored = SessionEvent.objects.get(session=session, event_type="agent.tool_use")
    SessionEvent.objects.filter(pk=stored.pk).update(payload=stored.payload | {"name": "write"})


def other_version(session: AgentSession) -> None:
    AgentSession.objects.filter(pk=session.pk).update(agent_version=session.agent_version + 1)


@pytest.mark.parametrize("change", [other_arguments, other_tool, other_version])
def test_a_yes_is_for_this_tool_these_arguments_and_this_version(world: World, agent: Agent, change: Any) -> None:
    session, request = asked(agent, world.bob, built_in())
    decide(world.vera, request)
    change(session)
    replay.run()
    request.refresh_from_db()
    assert request.failure
    assert (request.status, request.failure["code"]) == ("failed", "stale")
    assert answers() == []


def test_whatever_numbers_a_model_writes_can_be_decided(world: World, agent: Agent) -> None:
    _, request = asked(agent, world.bob, built_in(arguments={"n": [2**70, 1.5, -0.0, 1e22], "none": None}))
    decide(world.vera, request)
    replay.run()
    assert [one["result"] for one in answers()] == ["allow"]


def test_progress_of_the_session_does_not_make_a_yes_stale(world: World, agent: Agent) -> None:
    session, request = asked(agent, world.bob, built_in())
    decide(world.vera, request)
    observe(session, event("session.usage"))
    replay.run()
    assert [one["result"] for one in answers()] == ["allow"]


# --- The end of a session


def interrupted(world: World, session: AgentSession) -> None:
    assert api_of(world.bob).post(f"/sessions/{session.pk}/interrupt").status_code == 200


def closed(world: World, session: AgentSession) -> None:
    assert api_of(world.bob).post(f"/sessions/{session.pk}/close").status_code == 200


def deleted(world: World, session: AgentSession) -> None:
    assert api_of(world.bob).delete(f"/sessions/{session.pk}").status_code == 204


def rested(world: World, session: AgentSession) -> None:
    observe(session, event("session.status_idle", stop_reason=DONE))


def terminated(world: World, session: AgentSession) -> None:
    observe(session, event("session.status_terminated"))


ENDS = [interrupted, closed, deleted, rested, terminated]


@pytest.mark.parametrize("end", ENDS)
def test_no_request_outlives_what_it_is_about(world: World, agent: Agent, end: Any) -> None:
    session, request = asked(agent, world.bob, built_in())
    end(world, session)
    asking.follow()
    request.refresh_from_db()
    assert request.failure
    assert (request.status, request.failure["code"]) == ("failed", "session_over")
    assert request.failure["message"]
    assert api_of(world.vera).get("/approvals").json() == []
    assert decide(world.vera, request).status_code == 409
    entry = Entry.objects.get(action="approval:withdraw", approval_request_id=request.pk)
    assert payload(entry)["decision"]["message"] == request.failure["message"]
    assert asking.follow() == 0


@pytest.mark.parametrize("end", ENDS)
def test_a_decision_for_what_has_ended_fails_with_the_reason(world: World, agent: Agent, end: Any) -> None:
    session, request = asked(agent, world.bob, built_in())
    assert decide(world.vera, request).json()["status"] == "approved"
    end(world, session)
    assert replay.run() == 1
    request.refresh_from_db()
    assert request.failure
    assert (request.status, request.failure["code"]) == ("failed", "conflict")
    assert answers() == []


@pytest.mark.parametrize("end", ENDS)
def test_what_ends_before_the_sweep_never_comes_into_the_inbox(world: World, agent: Agent, end: Any) -> None:
    end(world, waiting(agent, world.bob, built_in()))
    asking.follow()
    assert statuses() == []


def test_with_a_deleted_session_go_the_arguments_of_its_calls(world: World, agent: Agent) -> None:
    session, request = asked(agent, world.bob, built_in(arguments={"text": "canary"}), title="canary")
    confirmed(api_of(world.bob), session, {"id": ToolCall.objects.get().remote_id})
    deleted(world, session)
    asking.follow()
    row = api_of(world.vera).get(f"/approvals/{request.pk}")
    assert (row.json()["status"], row.json()["tool_call"]["tool"]) == ("approved", "bash")
    assert b"canary" not in row.content


def test_a_call_that_was_answered_on_the_runtime_leaves_the_inbox(world: World, agent: Agent) -> None:
    first, second = built_in(), built_in("write")
    session = waiting(agent, world.bob, first, second)
    asking.follow()
    answered = event("user.tool_confirmation", tool_use_id=first["id"], result="allow")
    observe(session, answered, requires(second))
    asking.follow()
    gone, left = request_of(session, first), request_of(session, second)
    assert gone.failure
    assert (gone.status, gone.failure["code"], left.status) == ("failed", "answered_elsewhere", "pending")


def test_while_it_waits_the_session_says_so_and_its_clock_stands(world: World, agent: Agent) -> None:
    session, request = asked(agent, world.bob, built_in())
    row = api_of(world.bob).get(f"/sessions/{session.pk}").json()
    assert (row["status"], row["waiting_for"]) == ("running", "confirmation")
    session.refresh_from_db()
    assert (session.turn_started_at, session.deadline_at) == (None, None)
    decide(world.vera, request)
    replay.run()
    observe(session, event("session.status_running"))
    session.refresh_from_db()
    assert session.waiting_for == ""
    assert session.deadline_at is not None
