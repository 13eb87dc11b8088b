"""Every way to an agent: whoever changes what it is or what it can do, from wherever, is held where it lives."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from agents.models import Agent, Credential, MCPDeployment, MCPServer, Skill, SkillVersion
from approvals.models import ApprovalRequest
from tests.declared import attach, make_agent, make_skill, make_version, register_server
from tests.deployed import make_deployment
from tests.held import make_policy
from tests.standing import standing
from tests.wired import make_credential, make_foreign, wire
from tests.world import Api, World, api_of, bind


@dataclass(frozen=True)
class Scene:
    """An agent under a gated OU, with a skill, servers, a deployment and a credential that live elsewhere."""

    world: World
    agent: Agent
    skill: Skill
    second: SkillVersion
    spare: Skill
    tools: MCPServer
    other: MCPServer
    deployment: MCPDeployment
    credential: Credential

    @property
    def path(self) -> str:
        return f"/agents/{self.agent.id}"


@standing
def scene(world: World) -> Scene:
    alice = world.alice
    skill, spare = make_skill(alice, world.root), make_skill(alice, world.root, "spare")
    make_version(alice, skill)
    second = make_version(alice, skill, activate=False, extra="another")
    agent = make_agent(alice, world.engineering, "guarded")
    attach(alice, agent, skill)
    tools = register_server(alice, world.root, tools=["search"])
    deployment = make_deployment(alice, world.root)
    wire(agent, tools, deployment.registration)
    credential = make_credential(alice, agent, tools, token="forge-token")
    other = make_foreign(world.root, "other", "https://other.example.com/mcp")
    make_policy(alice, world.engineering, "agent:update")
    agent.refresh_from_db()
    return Scene(world, agent, skill, second, spare, tools, other, deployment, credential)


def _pin(api: Api, scene: Scene) -> Any:
    tool = scene.tools.tools.get()
    tool.sha256 = "a" * 64  # another definition than the one that was pinned
    tool.save()
    return api.post(f"/mcp-servers/{scene.tools.id}/pin", {"tools": [{"name": tool.name, "sha256": tool.sha256}]})


ROUTES: dict[str, Callable[[Api, Scene], Any]] = {
    "the agent itself": lambda api, scene: api.patch(scene.path, {"description": "new"}),
    "a version of before": lambda api, scene: api.post(f"{scene.path}/versions/1/restore", {}),
    "a skill more": lambda api, scene: api.post(f"{scene.path}/skills", {"skill_id": str(scene.spare.id)}),
    "one of Anthropic's": lambda api, scene: api.post(f"{scene.path}/skills", {"skill_id": "pdf"}),
    "a skill pinned": lambda api, scene: api.post(
        f"{scene.path}/skills", {"skill_id": str(scene.skill.id), "skill_version_id": str(scene.second.id)}
    ),
    "a skill less": lambda api, scene: api.delete(f"{scene.path}/skills/{scene.skill.id}"),
    "a skill's version": lambda api, scene: api.patch(
        f"/skills/{scene.skill.id}", {"current_version_id": str(scene.second.id)}
    ),
    "a server more": lambda api, scene: api.post(
        f"{scene.path}/mcp-servers", {"mcp_server_registration_id": str(scene.other.id)}
    ),
    "another tool policy": lambda api, scene: api.post(
        f"{scene.path}/mcp-servers", {"mcp_server_registration_id": str(scene.tools.id), "permission": "always_ask"}
    ),
    "a server less": lambda api, scene: api.delete(f"{scene.path}/mcp-servers/{scene.tools.id}"),
    "a server's address": lambda api, scene: api.patch(
        f"/mcp-servers/{scene.tools.id}", {"url": "https://elsewhere.example.com/mcp"}
    ),
    "a server's tools": _pin,
    "a deployment's policy": lambda api, scene: api.patch(
        f"/mcp-deployments/{scene.deployment.id}", {"policy_json": {"calls_per_minute": 5}}
    ),
    "a deployment's config": lambda api, scene: api.patch(
        f"/mcp-deployments/{scene.deployment.id}", {"config_json": {}}
    ),
    "a credential": lambda api, scene: api.post(
        "/credentials",
        {"agent_id": str(scene.agent.id), "mcp_server_registration_id": str(scene.deployment.registration.id)},
    ),
    "a credential's value": lambda api, scene: api.post(
        f"/credentials/{scene.credential.id}/rotate", {"token": "another-token"}
    ),
}


@pytest.mark.once
@pytest.mark.parametrize("route", ROUTES)
def test_every_way_to_an_agent_is_held_where_it_lives(scene: Scene, route: str) -> None:
    # Secrets, by which a deployment's tools are another's: agents/test_deployment_secrets.py.
    answer = ROUTES[route](api_of(scene.world.alice), scene)
    assert (answer.status_code, answer.json().get("policies")) == (202, ["gate"]), answer.content
    effects = ApprovalRequest.objects.get().effects
    assert ("agent:update", str(scene.agent.id)) in {(one["action"], one["id"]) for one in effects}
    assert Agent.objects.get().generation == scene.agent.generation


@pytest.mark.once
def test_what_takes_away_or_changes_no_agent_is_not_held(scene: Scene) -> None:
    alice = api_of(scene.world.alice)
    said = {"display_name": "Another", "model": "claude-sonnet-4-6", "system_prompt": "x", "agent_kind": "user"}
    body = {"agent_id": str(scene.agent.id), "mcp_server_registration_id": str(scene.tools.id)}
    answers = {
        "a new agent": alice.post("/agents", {**said, "name": "new", "ou_id": str(scene.world.engineering.id)}),
        "a credential that is there": alice.post("/credentials", body),
        "a credential less": alice.delete(f"/credentials/{scene.credential.id}"),
        "a right less": alice.delete(f"/role-bindings/{bind(scene.world.eve, 'AgentViewer', scene.world.sales).id}"),
        "a skill's name": alice.patch(f"/skills/{scene.skill.id}", {"display_name": "Lint"}),
        "a server's name": alice.patch(f"/mcp-servers/{scene.tools.id}", {"display_name": "Tools"}),
        "an agent less": alice.delete(scene.path),
    }
    assert {name: answer.status_code for name, answer in answers.items()} == {
        "a new agent": 201,
        "a credential that is there": 201,
        "a credential less": 204,
        "a right less": 204,
        "a skill's name": 200,
        "a server's name": 200,
        "an agent less": 204,
    }


@pytest.mark.once
def test_what_an_agent_has_cannot_be_ended_under_it(scene: Scene) -> None:
    alice = api_of(scene.world.alice)
    for path in (f"/skills/{scene.skill.id}", f"/mcp-servers/{scene.tools.id}"):
        assert alice.delete(path).status_code == 409
    assert alice.post(f"/mcp-deployments/{scene.deployment.id}/destroy", {}).status_code == 409
    assert not ApprovalRequest.objects.exists()
