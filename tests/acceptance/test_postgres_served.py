"""A deployment of `postgres` from its secret to an agent's call: real database, real fleet, the official client."""

from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from accounts import sealing
from accounts.commands.secrets import SEALED, CreateSecret
from agents.deploying import tick
from agents.models import MCPCall, MCPDeployment
from powerloom.kernel.ids import new_id
from tests.database import Committed
from tests.declared import done, make_agent
from tests.deployed import make_deployment
from tests.fleet import caller_of, fleet_process, mcp_client
from tests.product import environment_for
from tests.shop import Shop
from tests.sql import ALLOWED, CANARY
from tests.world import World, api_of

pytestmark = pytest.mark.once

POLICY = {"allowed_tables": ALLOWED, "deny_mutation_keywords": True}


def test_an_agent_asks_a_database_through_the_fleet(
    committed_db: Committed, committed_world: World, shop: Shop, settings: Any, tmp_path: Path
) -> None:
    world = committed_world
    settings.DEV_MODE = True  # the database is on this machine
    sealed_id = sealing.seal(shop.url(), kind=SEALED, organization_id=world.acme.id)
    secret = CreateSecret(id=new_id(), ou_id=world.engineering.id, name="dsn", kind="postgres_url", sealed_id=sealed_id)
    done(secret, world.alice)
    config = {"database_url_secret": "dsn", "row_limit": 2}
    deployment = make_deployment(
        world.alice, world.engineering, kind="postgres", config_json=config, policy_json=POLICY
    )
    environment = environment_for(committed_db.folder, **committed_db.environment, POWERLOOM_DEV="1")
    with fleet_process(environment, tmp_path / "fleet.log") as fleet:
        settings.FLEET_URL = fleet.url
        assert tick() == 1
        row = api_of(world.alice).get(f"/mcp-deployments/{deployment.id}").json()
        assert (row["status"], row["status_reason"]) == ("running", "")
        assert row["warnings"] == ["Views and foreign tables show whatever they read: public.summary."]
        assert [tool["name"] for tool in row["tools"]] == ["describe_table", "explain", "list_tables", "query"]
        caller = caller_of(
            world.alice, make_agent(world.alice, world.engineering), deployment.registration, policy=POLICY
        )
        allowed, denied = async_to_sync(_ask)(f"{fleet.url}{caller.path}", caller.bearer)
    assert allowed.structured_content["rows"] == [["cpu", "0.500"], ["disk", "12.250"]]
    assert allowed.structured_content["truncated"] is True
    assert denied.is_error
    assert "allowed_tables" in denied.content[0].text
    assert [(call.tool, call.rule) for call in MCPCall.objects.order_by("id")] == [
        ("query", ""),
        ("query", "allowed_tables"),
    ]
    assert CANARY not in (tmp_path / "fleet.log").read_text()
    assert MCPDeployment.objects.get().config == config


async def _ask(url: str, bearer: str) -> tuple[Any, Any]:
    async with mcp_client(url, bearer) as client:
        allowed = await client.call_tool("query", {"sql": "SELECT name, value FROM metrics ORDER BY id"})
        denied = await client.call_tool("query", {"sql": "SELECT word FROM metrics, secrets"})
    return allowed, denied
