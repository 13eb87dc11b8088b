"""`manage.py fleet` as operators start it, called by the official MCP SDK's own client."""

import asyncio
from typing import Any

import httpx
import httpx2
import pytest
from asgiref.sync import sync_to_async
from mcp import Client, MCPError
from mcp.types import CallToolResult

from agents.models import Credential, MCPCall
from powerloom.kernel.tls import trust
from tests.database import Committed
from tests.fleet import FleetProcess, fleet_process, make_caller, mcp_client, set_policy
from tests.product import environment_for
from tests.world import World

CALLERS = 20
MODES = {"auto": "2026-07-28", "legacy": "2025-11-25"}  # and the protocol that comes of it


def text_of(result: CallToolResult) -> str:
    text: str = result.content[0].text  # type: ignore[union-attr]  # all of ours are texts
    return text


async def talk_to(client: Client) -> None:
    """What a client does first, and every tool of echo."""
    listed = await client.list_tools()
    assert [tool.name for tool in listed.tools] == ["echo", "echo_slowly", "fail"]
    assert text_of(await client.call_tool("echo", {"text": "hello"})) == "hello"
    assert text_of(await client.call_tool("echo_slowly", {"text": "slow", "seconds": 0.05})) == "slow"
    failed = await client.call_tool("fail", {"message": "as asked"})
    assert (failed.is_error, text_of(failed)) == (True, "as asked")


async def story(url: str, world: World) -> None:
    caller = await sync_to_async(make_caller)(world.bob, world.platform)
    set_now, address = sync_to_async(set_policy), f"{url}{caller.path}"
    for mode, protocol in MODES.items():
        async with mcp_client(address, caller.bearer, mode) as client:
            await talk_to(client)
            assert client.server_info
            assert (client.server_info.name, client.protocol_version) == ("powerloom-echo", protocol)
    logged = await sync_to_async(MCPCall.objects.filter(session_id=caller.session.pk).count)()
    assert logged == 3 * len(MODES)

    async with mcp_client(address, caller.bearer) as client:
        await set_now(caller.deployment, {"denied_tools": ["echo"]})
        denied = await client.call_tool("echo", {"text": "hello"})
        assert denied.is_error
        assert "denied_tools" in text_of(denied)
        await set_now(caller.deployment, {"calls_per_minute": 1})
        first, over = [await client.call_tool("echo", {"text": "hello"}) for _ in range(2)]
        assert (first.is_error, over.is_error) == (False, True)
        assert "calls_per_minute" in text_of(over)
        await set_now(caller.deployment, {})
        with pytest.raises(MCPError):
            await client.call_tool("echo", {"text": "x" * (1024 * 1024 + 1)})
        assert text_of(await client.call_tool("echo", {"text": "still here"})) == "still here"
        await sync_to_async(Credential.objects.filter(pk=caller.credential.pk).update)(bearer_hash="")
        with pytest.raises(MCPError):
            await client.call_tool("echo", {"text": "hello"})
    with pytest.raises((MCPError, httpx2.HTTPError, ExceptionGroup)):
        async with mcp_client(address, "plb_wrong"):
            pass


async def crowd(url: str, world: World) -> None:
    caller = await sync_to_async(make_caller)(world.bob, world.platform, "crowded", policy={"calls_per_minute": 6000})

    async def one(number: int) -> str:
        async with mcp_client(f"{url}{caller.path}", caller.bearer, list(MODES)[number % 2]) as client:
            return text_of(await client.call_tool("echo_slowly", {"text": str(number), "seconds": 0.2}))

    assert await asyncio.gather(*map(one, range(CALLERS))) == [str(number) for number in range(CALLERS)]


def hold_a_call(running: FleetProcess, caller: Any) -> None:
    """Leave a slow call under way."""
    params = {"name": "echo_slowly", "arguments": {"text": "x", "seconds": 30}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"authorization": f"Bearer {caller.bearer}", "accept": "application/json, text/event-stream"}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(
            f"{running.url}{caller.path}", json=body, headers=headers, timeout=0.3, trust_env=False, verify=trust()
        )


def test_the_sdks_client_and_the_fleet(committed_db: Committed, committed_world: World) -> None:
    environment = environment_for(committed_db.folder, **committed_db.environment, POWERLOOM_DEV="1")
    with fleet_process(environment, committed_db.folder / "fleet.log") as running:
        asyncio.run(story(running.url, committed_world))
        asyncio.run(crowd(running.url, committed_world))
        hold_a_call(running, make_caller(committed_world.bob, committed_world.platform, "slow"))
        assert running.stop() == 0, running.log.read_text()
