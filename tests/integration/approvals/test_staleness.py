"""What was approved is what runs: whatever the set names stands as it stood; what engines observe does not count."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from django.db.models import F, Model
from django.utils import timezone

from accounts.models import User
from agents.commands import DetachSkill
from agents.kinds import SyncKind
from agents.models import Agent, AgentVersion, MCPDeployment, MCPServer, Skill, SkillVersion
from approvals import replay
from approvals.models import ApprovalRequest
from tests.declared import attach, done, make_agent, make_live, make_skill, make_version, register_server
from tests.deployed import make_deployment, make_running
from tests.held import decide, make_policy
from tests.standing import standing
from tests.wired import make_credential
from tests.world import Api, World, api_of, make_group, make_role, make_user

pytestmark = pytest.mark.once

NEW = {"display_name": "New", "model": "claude-sonnet-4-6", "system_prompt": "x", "name": "new"}


@dataclass(frozen=True)
class Things:
    """One of each that a set may name."""

    world: World
    agent: Agent
    skill: Skill
    old: Skill
    second: SkillVersion
    server: MCPServer
    deployment: MCPDeployment
    secret: str
    role: str
    group: str
    person: User


@standing
def things(world: World) -> Things:
    alice, here = world.alice, world.engineering
    skill = make_skill(alice, here)
    make_version(alice, skill)
    second = make_version(alice, skill, activate=False, extra="another")
    agent, old = make_agent(alice, here), make_skill(alice, here, "old")
    make_version(alice, old)
    attach(alice, agent, old)
    done(DetachSkill(agent_id=agent.id, skill=old.id), alice)
    server = register_server(alice, here, tools=["search"])
    deployment = make_deployment(alice, here)
    kept = {"name": "forge", "ou_id": str(here.id), "kind": "forge_token", "value": "hush"}
    secret = api_of(alice).post("/secrets", kept).json()["id"]
    role = make_role(world.acme, "Readers", "agent:read")
    person = make_user("ada@acme.example", home=world.sales)
    group = make_group(world.root, "readers", person)
    agent.refresh_from_db()
    return Things(world, agent, skill, old, second, server, deployment, secret, str(role.id), str(group.id), person)


def outcome_of(request: ApprovalRequest) -> str:
    replay.run()
    request.refresh_from_db()
    return request.outcome if request.outcome == "applied" else (request.failure or {})["code"]


Act = Callable[[Things, Api], Any]

ASKS: dict[str, Act] = {
    "create an agent": lambda it, api: api.post("/agents", {**NEW, "ou_id": str(it.world.engineering.id)}),
    "change it": lambda it, api: api.patch(f"/agents/{it.agent.id}", {"description": "new"}),
    "restore it": lambda it, api: api.post(f"/agents/{it.agent.id}/versions/2/restore", {}),
    "attach a skill": lambda it, api: api.post(f"/agents/{it.agent.id}/skills", {"skill_id": str(it.skill.id)}),
    "activate a version": lambda it, api: api.patch(
        f"/skills/{it.skill.id}", {"current_version_id": str(it.second.id)}
    ),
    "attach a server": lambda it, api: api.post(
        f"/agents/{it.agent.id}/mcp-servers", {"mcp_server_registration_id": str(it.server.id)}
    ),
    "move a server": lambda it, api: api.patch(
        f"/mcp-servers/{it.server.id}", {"url": "https://elsewhere.example.com/mcp"}
    ),
    "change a policy of tools": lambda it, api: api.patch(
        f"/mcp-deployments/{it.deployment.id}", {"policy_json": {"calls_per_minute": 5}}
    ),
    "rotate a secret": lambda it, api: api.post(f"/secrets/{it.secret}/rotate", {"value": "louder"}),
    "move a person": lambda it, api: api.patch(f"/users/{it.person.id}", {"home_ou_id": str(it.world.platform.id)}),
    "add a member": lambda it, api: api.post(f"/groups/{it.group}/users", {"user_id": str(it.world.eve.id)}),
    "bind a group": lambda it, api: api.post(
        "/role-bindings",
        {
            "principal_id": it.group,
            "role_id": it.role,
            "scope_ou_id": str(it.world.engineering.id),
            "decision_type": "allow",
        },
    ),
    "edit a role": lambda it, api: api.patch(f"/roles/{it.role}", {"actions": ["agent:read", "skill:read"]}),
}


def widen(things: Things, api: Api) -> Any:
    return api.patch(f"/roles/{things.role}", {"actions": ["agent:read", "agent:create"]})


def bump(model: type[Model], pk: UUID) -> None:
    model._default_manager.filter(pk=pk).update(generation=F("generation") + 1)


CHANGES: list[tuple[str, str, Act]] = [
    (
        "create an agent",
        "its OU is called otherwise",
        lambda it, api: api.patch(f"/ous/{it.world.engineering.id}", {"display_name": "E"}),
    ),
    ("change it", "the agent", lambda it, _: bump(Agent, it.agent.pk)),
    ("restore it", "the agent", lambda it, _: bump(Agent, it.agent.pk)),
    ("restore it", "a skill of then", lambda it, _: bump(Skill, it.old.pk)),
    ("attach a skill", "the agent", lambda it, _: bump(Agent, it.agent.pk)),
    (
        "attach a skill",
        "the skill",
        lambda it, api: api.patch(f"/skills/{it.skill.id}", {"current_version_id": str(it.second.id)}),
    ),
    ("activate a version", "the skill", lambda it, _: bump(Skill, it.skill.pk)),
    ("activate a version", "who follows it", lambda it, _: attach(it.world.alice, it.agent, it.skill)),
    ("attach a server", "the agent", lambda it, _: bump(Agent, it.agent.pk)),
    ("attach a server", "the server", lambda it, _: bump(MCPServer, it.server.pk)),
    ("attach a server", "its credential", lambda it, _: make_credential(it.world.alice, it.agent, it.server)),
    ("move a server", "the server", lambda it, _: bump(MCPServer, it.server.pk)),
    ("change a policy of tools", "the deployment", lambda it, _: bump(MCPDeployment, it.deployment.pk)),
    ("rotate a secret", "the secret", lambda it, api: api.post(f"/secrets/{it.secret}/rotate", {"value": "soft"})),
    ("move a person", "the person", lambda it, api: api.patch(f"/users/{it.person.id}", {"name": "Another"})),
    ("add a member", "the group", lambda it, api: api.patch(f"/groups/{it.group}", {"display_name": "Leads"})),
    (
        "bind a group",
        "who is in it",
        lambda it, api: api.post(f"/groups/{it.group}/users", {"user_id": str(it.world.bob.id)}),
    ),
    ("bind a group", "what the role allows", widen),
    ("edit a role", "what the role allows", widen),
]


def approved(things: Things, ask: str) -> ApprovalRequest:
    """Held by a policy over everything, which is off afterwards: what changes meanwhile shall not be held itself."""
    policy = make_policy(things.world.alice, things.world.root, "*")
    answer = ASKS[ask](things, api_of(things.world.alice))
    assert answer.status_code == 202, answer.content
    request = ApprovalRequest.objects.get(pk=answer.json()["id"])
    assert decide(things.world.vera, request).json()["status"] == "approved"
    type(policy).objects.update(is_on=False)
    return request


@pytest.mark.parametrize(("ask", "what", "change"), CHANGES, ids=[f"{ask}: {what}" for ask, what, _ in CHANGES])
def test_what_the_set_names_must_stand_as_it_stood(things: Things, ask: str, what: str, change: Act) -> None:
    request = approved(things, ask)
    answer = change(things, api_of(things.world.alice))
    assert getattr(answer, "status_code", 200) in {200, 201}, answer.content
    assert outcome_of(request) == "stale", what


@pytest.mark.parametrize("ask", ASKS)
def test_what_only_progresses_makes_nothing_stale(things: Things, ask: str) -> None:
    request, now = approved(things, ask), timezone.now()
    make_running(things.deployment)
    make_live(kinds=set(SyncKind))
    MCPServer.objects.update(state="failing", probe_error={"step": "connect", "words": "no"}, probed_at=now)
    AgentVersion.objects.update(cma_version="7")
    User.objects.update(last_login=now)
    assert outcome_of(request) == "applied", request.failure
