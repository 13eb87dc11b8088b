"""What is told in tabs and parts costs the same number of queries with many rows as with few."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.commands import GrantSkill, UpdateAgent
from agents.models import Agent, CallOutcome, MCPCall, MCPDeployment, Skill
from agents.spec import AgentChanges
from approvals.models import ApprovalPolicy
from powerloom.kernel.ids import new_id
from sessions.models import AgentSession
from tests.connected import attach_server, make_server
from tests.declared import attach, done, make_agent, make_skill, make_version
from tests.deployed import make_deployment
from tests.held import held_agent, make_policy
from tests.integration.console.conftest import make_session, queries, tell, text
from tests.world import World, bind, make_group, make_ou, make_user

pytestmark = pytest.mark.once


def grow(
    world: World, agent: Agent, session: AgentSession, skill: Skill, deployment: MCPDeployment, names: list[str]
) -> None:
    """Make one more of everything for each name, tied to what is there."""
    group = make_group(world.engineering, f"group-{names[0]}")
    for name in names:
        other, person = (
            make_agent(world.bob, world.engineering, f"agent-{name}"),
            make_user(f"{name}@acme.example", home=world.engineering),
        )
        held_agent(world.bob, world.platform, f"held-{name}")
        grown = make_skill(world.bob, world.engineering, f"skill-{name}")
        make_version(world.bob, grown)
        attach(world.bob, agent, grown)
        attach(world.bob, other, skill)
        make_version(world.bob, skill, extra=name, activate=False)
        done(GrantSkill(id=new_id(), skill_id=skill.id, principal_id=person.id), world.alice)
        attach_server(world.alice, agent, make_server(world.engineering, f"server-{name}"))
        attach_server(world.alice, other, deployment.registration)
        done(UpdateAgent(agent_id=agent.id, changes=AgentChanges(system_prompt=f"Say {name}.")), world.bob)
        MCPCall.objects.create(
            organization=world.acme,
            deployment=deployment,
            milliseconds=3,
            created_at=timezone.now(),
            tool="echo",
            outcome=CallOutcome.OK,
            agent_id=other.id,
            tried_by_id=person.id,
        )
        make_session(agent, person)
        tell(
            session,
            ("user.message", text(f"Go on with {name}.")),
            ("agent.mcp_tool_use", {"mcp_server_name": f"server-{name}", "name": "echo", "input": {}}),
            ("agent.mcp_tool_result", {"mcp_tool_use_id": f"sevt_{session.last_seq + 2}", **text(name)}),
            ("session.status_idle", {"stop_reason": {"type": "end_turn"}}),
        )
        make_ou(world.engineering, f"ou-{name}")
        bind(person, "AgentViewer", world.engineering)
        bind(make_group(world.engineering, f"readers-{name}", person, group), "AgentViewer", world.engineering)


def test_details_cost_no_more_queries_with_many_rows_than_with_few(
    world: World, alice: Client, agent: Agent, session: AgentSession
) -> None:
    skill, deployment = make_skill(world.bob, world.engineering), make_deployment(world.alice, world.engineering)
    make_version(world.bob, skill)
    make_policy(world.alice, world.platform)
    of_agent, of_skill = f"/agents/{agent.id}", f"/skills/{skill.id}"
    of_server, of_session = f"/mcp-servers/{deployment.registration.id}", f"/sessions/{session.id}"
    rooms = [f"{of_agent}?tab={tab}" for tab in ("", "prompt", "skills", "servers", "credentials", "versions", "sync")]
    rooms += [f"{of_agent}/sessions", f"{of_agent}/manifest", f"/audit?target={agent.id}", "/audit", "/", "/chat"]
    rooms += [f"{of_skill}?tab={tab}" for tab in ("", "versions", "files", "agents", "access")]
    rooms += [f"{of_server}?tab={tab}" for tab in ("", "tools", "calls", "agents", "credentials")]
    rooms += [f"{of_session}{look}" for look in ("", "?view=events", "/news?after_seq=0", "?event=2")]
    rooms += [f"{of_session}/inspect/{pane}" for pane in ("tools", "diagnosis", "audit")]
    rooms += [f"/approvals/policies/{ApprovalPolicy.objects.get().pk}", "/approvals", "/approvals?tab=mine"]
    rooms += [f"/organization/ous/{world.engineering.id}{part}" for part in ("", "/access")]
    rooms += [f"/organization/users/{world.eve.id}", "/organization", "/organization/users"]
    grow(world, agent, session, skill, deployment, ["a"])
    few = {room: queries(alice, room) for room in rooms}  # once what is asked only once has been
    grow(world, agent, session, skill, deployment, ["b", "c"])
    assert {room: cost(alice, room) for room in rooms} == few


def cost(browser: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as asked:
        assert browser.get(path).status_code == 200
    return len(asked)
