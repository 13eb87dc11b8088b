"""Why something is not on the runtime, in the shape of every explanation: what decides, what helps, and who can."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.kinds import SyncKind
from agents.models import Agent, MCPDeployment, MCPServer, ServerState
from powerloom.reconcile.models import Lane, SyncState
from tests.connected import make_server
from tests.declared import make_agent, make_live, make_skill, make_version
from tests.deployed import make_deployment, make_failed, make_running
from tests.standing import standing
from tests.wired import make_credential, make_foreign
from tests.world import World, api_of

pytestmark = pytest.mark.usefixtures("agent")

PARKED = {"parked_at": timezone.now(), "attempts": 10, "last_error": "the model is not known"}


@standing
def agent(world: World) -> Agent:
    made = make_agent(world.bob, world.engineering)
    make_live(made.id, world.acme.id)
    return made


def say(id_: Any, **columns: Any) -> None:
    assert SyncState.objects.filter(object_id=id_).update(**columns) == 1


def explained(world: World, path: str) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return the kinds of the facts that decide, and the steps with who can make them."""
    body = api_of(world.alice).get(path).json()
    explain = body.get("explain") or body["sync"]["explain"]
    facts = [fact["kind"] for fact in explain["facts"] if fact["decides"]]
    assert (explain["decided_by"] is None) == (not facts)
    return facts, [(step["kind"], step["who"]) for step in explain["remedy"]]


def of_agent(world: World, agent: Agent) -> tuple[list[str], list[tuple[str, list[str]]]]:
    return explained(world, f"/agents/{agent.id}/sync-status")


def test_nothing_stops_what_is_live_and_saying_so_costs_nothing(world: World, agent: Agent) -> None:
    assert of_agent(world, agent) == ([], [])
    with CaptureQueriesContext(connection) as live:
        of_agent(world, agent)
    say(agent.id, desired_hash="", **PARKED)
    with CaptureQueriesContext(connection) as parked:
        of_agent(world, agent)
    assert len(parked) == len(live) + 1


def test_what_is_parked_is_reset_by_who_may(world: World, agent: Agent) -> None:
    say(agent.id, desired_hash="", **PARKED)
    facts, [(kind, who)] = of_agent(world, agent)
    assert (facts, kind) == (["agent"], "reset")
    assert who == [world.bob.ref, world.alice.ref]


@pytest.mark.parametrize("columns", [{"desired_hash": ""}, {"waits_for": "skill python-lint"}, {"drift": []}])
def test_what_comes_right_by_itself_asks_nobody(world: World, agent: Agent, columns: dict[str, Any]) -> None:
    say(agent.id, **columns)
    facts, [(kind, who)] = of_agent(world, agent)
    assert (facts, kind, who) == (["agent"], "wait", [])


def test_an_account_that_the_runtime_refuses_stops_everything(world: World, agent: Agent) -> None:
    say(agent.id, desired_hash="")
    now = timezone.now()
    Lane.objects.create(organization_id=world.acme.id, sentence="401", since=now, paused_until=now)
    assert of_agent(world, agent) == (["account"], [("operator", [])])


@pytest.mark.parametrize(("columns", "step"), [(PARKED, "operator"), ({}, "wait")])
def test_the_environment_stops_every_agent(world: World, agent: Agent, columns: dict[str, Any], step: str) -> None:
    say(world.acme.id, desired_hash="", **columns)
    assert of_agent(world, agent) == (["environment"], [(step, [])])


def test_skills_and_credentials_say_the_same(world: World, agent: Agent) -> None:
    skill = make_skill(world.alice, world.engineering)
    assert explained(world, f"/skills/{skill.id}")[0] == ["skill"]
    make_version(world.alice, skill)
    make_live(kinds={SyncKind.SKILL})
    assert explained(world, f"/skills/{skill.id}") == ([], [])
    credential = make_credential(world.alice, agent, make_foreign(world.engineering))
    say(credential.id, **PARKED)
    facts, [(kind, who)] = explained(world, f"/credentials/{credential.id}")
    assert (facts, kind, who) == (["credential"], "reset", [world.bob.ref, world.alice.ref])


def test_a_deployment_says_what_failed_and_who_can_retry_it(world: World) -> None:
    made = make_deployment(world.alice, world.engineering)
    path = f"/mcp-deployments/{made.id}"
    assert explained(world, path) == (["status"], [("wait", [])])
    make_failed(made)
    steps = [{"step": "config", "ok": True, "words": ""}, {"step": "check", "ok": False, "words": "nobody answers"}]
    MCPDeployment.objects.update(steps=steps)
    assert explained(world, path) == (["check"], [("retry", [world.bob.ref, world.alice.ref])])
    make_running(made)
    assert explained(world, path) == ([], [])


def test_a_server_says_why_it_is_not_verified_and_which_tools_are_off(world: World) -> None:
    server = make_server(world.engineering)
    path = f"/mcp-servers/{server.id}"
    assert explained(world, path) == ([], [])
    failed = {"step": "initialize", "words": "401"}
    MCPServer.objects.update(state=ServerState.FAILING, probe_error=failed)
    server.tools.update(sha256="b" * 64)
    facts, steps = explained(world, path)
    assert (facts, [kind for kind, _ in steps]) == (["handshake"], ["probe", "pin"])
