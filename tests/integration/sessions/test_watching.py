"""Pages hear what kinds of things changed in their own organization, and nothing once their sign-in is over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from agents.models import MCPDeployment
from powerloom.reconcile.models import SyncState
from sessions import changes, watching
from sessions.changes import kinds_between, marks_of
from tests.declared import make_agent, make_live
from tests.deployed import make_deployment, make_running
from tests.integration.sessions.test_sockets import HOST, ORIGIN, Socket, cookie_in, done, opened, sign_out
from tests.recorded import invoked, live_agent
from tests.waiting import eventually
from tests.world import World, console_of


@asynccontextmanager
async def listening(client: Client) -> AsyncIterator[Socket]:
    """A page's socket, once it is watched for."""
    async with opened("/ws/console/?changes=yes", [await done(cookie_in, client), ORIGIN, HOST]) as socket:
        before = set(watching.watch()._marks)

        async def is_watched() -> bool:
            watch = watching.watch()
            return bool(watch._watchers) and all(one.organization_id in watch._marks for one in watch._watchers)

        await eventually(is_watched, what=f"the first look, after {before}")
        yield socket


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (watching.LOOK_SECONDS, watching.SIGN_IN_SECONDS) <= (1.0, 5.0), "what is promised"
    monkeypatch.setattr(watching, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watching, "SIGN_IN_SECONDS", 0.0)


@pytest.mark.usefixtures("quick")
async def test_a_page_hears_the_kinds_and_nothing_of_other_organizations(committed_world: World) -> None:
    world = committed_world
    ours, theirs = await done(console_of, world.eve), await done(console_of, world.mallory)
    async with listening(ours) as socket, listening(theirs) as other:
        await done(make_agent, world.bob, world.engineering)
        heard: set[str] = set()
        while not heard >= {"agent", "audit", "sync"}:  # one look may come between what one commit wrote
            frame = await socket.frame()
            assert (frame["type"], frame["payload"].keys()) == ("powerloom.changed", {"kinds"}), "it never says which"
            heard |= set(frame["payload"]["kinds"])
        assert await other.quiet()


@pytest.mark.usefixtures("quick")
async def test_a_page_whose_sign_in_is_over_hears_nothing_more(committed_world: World) -> None:
    client = await done(console_of, committed_world.alice)
    async with listening(client) as socket:
        await done(sign_out, client, committed_world.alice)
        await done(make_agent, committed_world.bob, committed_world.engineering)
        assert (await socket.frame())["payload"]["code"] == "signed_out"
        assert await socket.closed() == 4401


def kinds_of(world: World, act: Any) -> set[str]:
    before = marks_of([world.acme.id])[world.acme.id]
    act()
    return kinds_between(world.acme.id, before, marks_of([world.acme.id])[world.acme.id])


def test_what_becomes_due_settles_or_is_parked_is_a_change(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    assert kinds_of(world, lambda: make_live(agent.id)) == {"sync"}
    assert kinds_of(world, lambda: None) == set()
    assert kinds_of(world, lambda: SyncState.objects.filter(object_id=agent.id).update(desired_hash="")) == {"sync"}
    tried = SyncState.objects.filter(object_id=agent.id)
    assert kinds_of(world, lambda: tried.update(attempts=1)) == {"sync"}
    deployment = make_deployment(world.alice, world.engineering)
    assert kinds_of(world, lambda: make_running(deployment)) == {"mcp_deployment"}
    assert MCPDeployment.objects.get().due_at is None


def test_sessions_that_begin_move_and_grow_old(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    agent = live_agent(world)
    assert "session" in kinds_of(world, lambda: invoked(agent, world.alice))
    before = marks_of([world.acme.id])[world.acme.id]
    monkeypatch.setattr(changes, "RECENT", changes.RECENT * 0)
    assert kinds_between(world.acme.id, before, marks_of([world.acme.id])[world.acme.id]) == set()


def test_a_look_costs_the_same_for_any_number(world: World) -> None:
    def cost(*people: User) -> int:
        with CaptureQueriesContext(connection) as asked:
            marks_of([person.organization_id for person in people if person.organization_id])
        return len(asked)

    for number in range(3):
        make_agent(world.bob, world.engineering, f"agent-{number}")
    assert cost(world.alice) == cost(world.alice, world.mallory) == 4
