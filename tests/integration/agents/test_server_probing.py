"""MCP servers are looked at again on a schedule: once by any number of workers, fairly, and later after failures."""

import asyncio
from contextlib import closing
from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from starlette.requests import Request
from starlette.responses import Response

from agents import pins, probing, staging
from agents.models import Discovery, MCPServer, ServerState
from agents.pins import definition_hash
from agents.queries.servers import tool_counts
from agents.tasks import forget_discoveries, look_at_servers
from tests.database import Race
from tests.declared import make_agent, register_server
from tests.foreign import Foreign, page, tool
from tests.wired import make_credential
from tests.world import World


def due(server: MCPServer) -> None:
    MCPServer.objects.filter(pk=server.pk).update(probe_due_at=timezone.now() - timedelta(seconds=1))


def again(server: MCPServer) -> MCPServer:
    due(server)
    look_at_servers()
    server.refresh_from_db()
    return server


def in_minutes(server: MCPServer) -> float:
    assert server.probe_due_at is not None
    return (server.probe_due_at - timezone.now()).total_seconds() / 60


def test_without_anything_due_a_look_is_one_query(world: World) -> None:
    for number in range(3):
        register_server(world.alice, world.engineering, f"tools-{number}", tools=["a"])
    with CaptureQueriesContext(connection) as queries:
        assert probing.look_at_due() == 0
    assert len(queries) == 1


def test_the_first_listing_of_an_unverified_server_is_pinned_and_later_ones_are_not(
    world: World, foreign: Foreign
) -> None:
    server = register_server(world.alice, world.engineering, url=foreign.url)
    again(server)
    assert (server.state, tool_counts([server.id])) == (ServerState.VERIFIED, {server.id: (1, 1)})
    assert 11 < in_minutes(server) < 19
    foreign.tools = [tool("search"), tool("new")]
    again(server)
    assert tool_counts([server.id]) == {server.id: (2, 1)}


def test_a_server_that_moved_is_held_to_its_pins(world: World, foreign: Foreign) -> None:
    server = again(register_server(world.alice, world.engineering, url=foreign.url))
    pins.forget_listings([server])
    foreign.tools = [tool("search", "Another.")]
    again(server)
    assert tool_counts([server.id]) == {server.id: (1, 0)}


def test_each_failure_waits_longer_and_a_success_starts_anew(world: World, foreign: Foreign) -> None:
    server = register_server(world.alice, world.engineering, url=foreign.url)
    foreign.instead = page("", 503)
    waits = [in_minutes(again(server)) for _ in range(9)]
    assert (server.state, server.probe_attempts) == (ServerState.FAILING, 9)
    assert 0.7 < waits[0] < 1.3
    assert 3 < waits[2] < 5
    assert 90 < waits[8] <= 144.1
    foreign.instead = None
    assert (again(server).state, server.probe_attempts, server.probe_error) == (ServerState.VERIFIED, 0, None)


def test_a_token_that_was_given_for_the_origin_is_shown_and_a_voided_one_is_not(world: World, foreign: Foreign) -> None:
    foreign.wants = "the-right-one"
    server = register_server(world.alice, world.engineering, url=foreign.url)
    agent = make_agent(world.alice, world.engineering)
    credential = make_credential(world.alice, agent, server, token="the-right-one")
    assert again(server).state == ServerState.VERIFIED
    for column in ("voided_at", "expires_at", "archived_at"):
        type(credential).objects.update(voided_at=None, expires_at=None, archived_at=None)
        type(credential).objects.update(**{column: timezone.now() - timedelta(seconds=1)})
        foreign.bearers.clear()
        assert again(server).probe_error == {"step": "initialize", "words": "it is there and wants a token (401)"}
        assert set(foreign.bearers) == {""}
        assert server.state == ServerState.VERIFIED


def test_what_was_seen_of_a_server_that_moved_or_went_meanwhile_is_dropped(world: World, foreign: Foreign) -> None:
    server = register_server(world.alice, world.engineering, url=foreign.url)
    MCPServer.objects.update(url="https://tools.acme.example/mcp")
    probing.look(server)
    server.refresh_from_db()
    assert (server.state, tool_counts([server.id])) == (ServerState.UNVERIFIED, {})
    MCPServer.objects.update(url=foreign.url, archived_at=timezone.now())
    server.refresh_from_db()
    probing.look(server)
    assert tool_counts([server.id]) == {}


def test_a_backlog_of_one_organization_keeps_no_other_waiting(world: World) -> None:
    for number in range(30):
        register_server(world.alice, world.engineering, f"tools-{number}")
    other = register_server(world.mallory, world.zeta.ous.get())
    taken = probing._take(timezone.now())
    assert other.id in {one.server_id for one in taken}
    assert len(taken) == probing.MOST_OF_ONE + 1


def test_passing_tools_do_not_fill_the_table(world: World, foreign: Foreign) -> None:
    server = again(register_server(world.alice, world.engineering, url=foreign.url))
    for number in range(3):
        foreign.tools = [tool("search"), tool(f"passing-{number}")]
        again(server)
    assert set(server.tools.values_list("name", flat=True)) == {"search", "passing-2"}


def test_a_hash_covers_everything_that_an_agent_is_told() -> None:
    plain: dict[str, Any] = {"name": "a", "description": "b", "input_schema": {"x": 1, "y": 2}, "output_schema": None}
    assert definition_hash(plain) == definition_hash(
        {"input_schema": {"y": 2, "x": 1}, "description": "b", "name": "a", "seen": 1}
    )
    changed: list[dict[str, Any]] = [{"name": "c"}, {"description": "c"}, {"input_schema": {}}, {"output_schema": {}}]
    assert len({definition_hash(plain | one) for one in [{}, *changed]}) == 5


def test_old_discoveries_are_forgotten(world: World) -> None:
    kept, old = (
        Discovery.objects.create(organization=world.acme, url=url, protocol_version="") for url in ("kept", "old")
    )
    Discovery.objects.filter(pk=old.pk).update(created_at=timezone.now() - staging.KEPT - timedelta(days=1))
    forget_discoveries()
    assert list(Discovery.objects.all()) == [kept]


def test_two_workers_look_once(committed_world: World, race: Race) -> None:
    register_server(committed_world.alice, committed_world.engineering)
    now = timezone.now()
    taken = race(lambda: probing._take(now), lambda: probing._take(now))
    assert sorted(len(one) for one in taken) == [0, 1]


def test_no_transaction_is_open_while_a_server_is_asked(
    committed_world: World, foreign: Foreign, settings: Any
) -> None:
    settings.MCP_HANDSHAKE_SECONDS = 10
    server = register_server(committed_world.alice, committed_world.engineering, url=foreign.url)
    written = []

    def write() -> None:
        with closing(connection):
            written.append(MCPServer.objects.filter(pk=server.pk).update(description="written meanwhile"))

    async def write_and_fail(request: Request) -> Response:
        await asyncio.to_thread(write)  # waits as long as anybody holds the row
        return Response("", 503)

    foreign.instead = write_and_fail
    again(server)
    assert server.probe_error == {"step": "initialize", "words": "it answered with status 503"}
    assert set(written) == {1}
    assert server.description == "written meanwhile"
