"""The whole course of a deployment against a fleet that really serves: steps, tools, and the agents that have it."""

from pathlib import Path
from typing import Any

from agents.deploying import tick
from agents.kinds import SyncKind
from agents.models import DeploymentStatus, MCPDeployment, MCPTool
from tests.database import Committed
from tests.declared import is_stale, make_agent, make_live
from tests.deployed import make_deployment
from tests.fleet import fleet_process
from tests.wired import wire
from tests.world import World, api_of

STEPS = ["validate", "secrets", "check", "handshake", "tools"]


def test_a_deployment_comes_to_run_and_its_agents_hear_of_the_tools(
    committed_db: Committed, committed_world: World, settings: Any, tmp_path: Path
) -> None:
    world = committed_world
    deployment = make_deployment(world.bob, world.engineering)
    agent = make_agent(world.bob, world.engineering)
    wire(agent, deployment.registration)
    make_live(agent.id)
    with fleet_process(committed_db.environment, tmp_path / "fleet.log") as fleet:
        settings.FLEET_URL = fleet.url
        assert tick() == 1
        row = api_of(world.bob).get(f"/mcp-deployments/{deployment.id}").json()
        assert (row["status"], row["status_reason"], row["warnings"]) == ("running", "", [])
        assert [(step["step"], step["ok"]) for step in row["steps"]] == [(step, True) for step in STEPS]
        assert [tool["name"] for tool in row["tools"]] == ["echo", "echo_slowly", "fail"]
        assert row["tools"][0]["input_schema"]["required"] == ["text"]
        assert all(tool.is_on for tool in MCPTool.objects.filter(server=deployment.registration))
        assert is_stale(SyncKind.AGENT, agent.id)

        def with_policy(policy: dict[str, Any]) -> tuple[str, bool]:
            make_live(agent.id)
            api_of(world.bob).patch(f"/mcp-deployments/{deployment.id}", {"policy_json": policy})
            assert tick() == 1
            return MCPDeployment.objects.get().status, is_stale(SyncKind.AGENT, agent.id)

        assert with_policy({"calls_per_minute": 5}) == (DeploymentStatus.RUNNING, False), "the same tools are no news"
        assert with_policy({"denied_tools": ["fail"]}) == (DeploymentStatus.RUNNING, True)
        shown = api_of(world.bob).get(f"/mcp-deployments/{deployment.id}").json()["tools"]
        assert [tool["name"] for tool in shown] == ["echo", "echo_slowly"]
