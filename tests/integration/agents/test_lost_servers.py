"""An MCP server that an agent may no longer use leaves the runtime by itself, its credential first, and comes back with
the right.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Binding
from accounts.roles import builtin_id
from agents import withholding
from agents.drivers.agents import AgentDriver
from agents.kinds import SyncKind
from agents.models import Agent, AgentMCPServer, Credential, DeploymentStatus, MCPDeployment, MCPServer, WithheldServer
from powerloom.reconcile import engine
from powerloom.reconcile.models import SyncState, Urgency
from tests.connected import attach_server, make_managed_server, make_server, pin
from tests.converging import Runtime, runtime
from tests.declared import attach, is_stale, make_agent, make_live, make_skill, make_version
from tests.standing import standing
from tests.world import World, api_of, bind


@standing
def server(world: World) -> MCPServer:
    return make_server(world.sales)


@standing
def right(world: World) -> Binding:
    """What lets Bob, who owns the agent, use what is in sales."""
    return bind(world.bob, "AgentOwner", world.sales)


@standing
def credential(world: World, server: MCPServer, right: Binding) -> Credential:
    """The credential of Bob's agent for the server, both on the runtime as wanted, and nothing unjudged."""
    agent = make_agent(world.bob, world.engineering)
    credential = attach_server(world.bob, agent, server)
    withholding.follow_access()
    make_live(agent.id, credential.id)
    return credential


@standing
def agent(credential: Credential) -> Agent:
    return credential.agent


@pytest.fixture
def cma(tmp_path: Path, settings: Any) -> Iterator[Runtime]:
    with runtime(tmp_path / "runtime", settings) as running:
        yield running


def revoke(world: World, right: Binding) -> None:
    assert api_of(world.alice).delete(f"/role-bindings/{right.id}").status_code in {200, 204}
    withholding.follow_access()


def grant(world: World) -> None:
    body = {"principal_id": world.bob.id, "role_id": builtin_id("AgentOwner"), "scope_ou_id": world.sales.id}
    assert api_of(world.alice).post("/role-bindings", body).status_code == 201
    withholding.follow_access()


def on_runtime(cma: Runtime) -> dict[str, list[str]]:
    """Converge, and return the servers that CMA's one agent has, each with those of its tools that are on."""
    engine.tick()
    [live] = cma.agents()
    names = [server["name"] for server in live["mcp_servers"]]
    sets = {tool["mcp_server_name"]: tool for tool in live["tools"] if tool["type"] == "mcp_toolset"}
    assert all(one["default_config"]["enabled"] is False for one in sets.values())
    return {name: [tool["name"] for tool in sets[name]["configs"] if tool["enabled"]] for name in names}


def forget() -> None:
    """Say that the runtime has none of it."""
    SyncState.objects.update(desired_hash="", actual_hash="", remote_id="", remote_version="", synced_at=None)


# --- On the runtime


def test_the_runtime_loses_the_server_with_the_right_and_has_it_again(
    world: World, agent: Agent, server: MCPServer, right: Binding, cma: Runtime
) -> None:
    forget()
    assert on_runtime(cma) == {"notes": ["echo", "fail"]}
    assert SyncState.objects.get(kind=SyncKind.AGENT).condition == ""
    revoke(world, right)
    assert on_runtime(cma) == {}
    assert AgentMCPServer.objects.filter(agent=agent, server=server).exists()
    grant(world)
    assert on_runtime(cma) == {"notes": ["echo", "fail"]}


def test_a_server_without_a_tool_that_is_on_is_there_with_nothing_on(world: World, cma: Runtime) -> None:
    agent = make_agent(world.bob, world.engineering)
    attach_server(world.bob, agent, make_server(world.engineering, tools=()))
    assert on_runtime(cma) == {"notes": []}


def test_an_agent_waits_until_its_managed_server_has_run(world: World, cma: Runtime) -> None:
    server = make_managed_server(world.engineering, status=DeploymentStatus.DEPLOYING, tools=())
    agent = make_agent(world.bob, world.engineering)
    attach_server(world.bob, agent, server)
    engine.tick()
    assert cma.agents() == []
    told = api_of(world.bob).get(f"/agents/{agent.id}/sync-status").json()
    assert (told["status"], told["waits_for"]) == ("waiting", "MCP server echo: its deployment is deploying")
    pin(server, "echo")
    MCPDeployment.objects.update(status=DeploymentStatus.RUNNING)
    SyncState.objects.update(due_at=timezone.now())
    assert on_runtime(cma) == {"echo": ["echo"]}


# --- What follows


def test_a_loss_takes_the_credential_before_the_server(
    world: World, agent: Agent, server: MCPServer, credential: Credential, right: Binding
) -> None:
    revoke(world, right)
    assert set(WithheldServer.objects.values_list("agent_id", "server_id")) == {(agent.id, server.id)}
    first, second = SyncState.objects.filter(urgency=Urgency.REVOKE).order_by("due_at")
    assert [(one.kind, one.object_id) for one in (first, second)] == [
        (SyncKind.CREDENTIAL, credential.id),
        (SyncKind.AGENT, agent.id),
    ]


def test_both_come_back_with_the_right(world: World, agent: Agent, credential: Credential, right: Binding) -> None:
    revoke(world, right)
    make_live(agent.id, credential.id)
    grant(world)
    assert not WithheldServer.objects.exists()
    assert is_stale(SyncKind.AGENT, agent.id)
    assert is_stale(SyncKind.CREDENTIAL, credential.id)


def test_only_what_was_lost_is_withheld(world: World, agent: Agent, credential: Credential, right: Binding) -> None:
    kept = attach_server(world.bob, agent, make_server(world.engineering, "kept"))
    skill = make_skill(world.bob, world.engineering)
    make_version(world.bob, skill)
    attach(world.bob, agent, skill)
    make_live(agent.id, credential.id, kept.id)
    revoke(world, right)
    assert not is_stale(SyncKind.CREDENTIAL, kept.id)
    assert WithheldServer.objects.count() == 1
    assert api_of(world.bob).get(f"/agents/{agent.id}").json()["withheld_skills"] == []


def test_the_agents_page_says_which_server_is_withheld_and_why(world: World, agent: Agent, right: Binding) -> None:
    revoke(world, right)
    [told] = api_of(world.alice).get(f"/agents/{agent.id}").json()["mcp_servers"]
    assert told["withheld"] == "user:bob@acme.example may no longer use the MCP server notes"


def test_a_disabled_owner_lends_no_server(world: World, agent: Agent, server: MCPServer) -> None:
    assert api_of(world.alice).patch(f"/users/{world.bob.id}", {"is_active": False}).status_code == 200
    withholding.follow_access()
    assert WithheldServer.objects.filter(agent=agent, server=server).exists()


def test_judging_costs_the_same_for_any_number_of_agents(
    world: World, server: MCPServer, credential: Credential, right: Binding
) -> None:
    for number in range(5):
        attach_server(world.bob, make_agent(world.bob, world.engineering, f"agent-{number}"), server)
    assert api_of(world.alice).delete(f"/role-bindings/{right.id}").status_code in {200, 204}
    with CaptureQueriesContext(connection) as captured:
        withholding.judge(world.acme.id)
    assert WithheldServer.objects.count() == 6
    assert len(captured) < 22


def test_loading_costs_the_same_for_any_number_of_agents(world: World, server: MCPServer, right: Binding) -> None:
    counts = []
    for number in range(4):
        attach_server(world.bob, make_agent(world.bob, world.engineering, f"agent-{number}"), server)
        states = list(SyncState.objects.filter(kind=SyncKind.AGENT))
        with CaptureQueriesContext(connection) as captured:
            assert len(AgentDriver().load(states)) == number + 1
        counts.append(len(captured))
    assert counts[0] == counts[3]
