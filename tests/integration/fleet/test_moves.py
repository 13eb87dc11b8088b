from typing import Any

import pytest

from agents.fleet import moves
from agents.kinds import SyncKind
from tests.declared import is_stale, make_live
from tests.fleet import make_caller
from tests.wired import make_credential, make_foreign, wire
from tests.world import World

pytestmark = pytest.mark.django_db


def test_another_address_makes_stale_whoever_has_a_managed_server_and_nobody_else(world: World, settings: Any) -> None:
    caller = make_caller(world.bob, world.platform)
    other = make_caller(world.bob, world.platform, "other").agent
    foreign = make_foreign(world.platform)
    wire(caller.agent, foreign)
    untouched = make_credential(world.bob, caller.agent, foreign, token="a-token")
    kinds = {SyncKind.AGENT, SyncKind.CREDENTIAL}

    make_live(kinds=kinds)
    assert not moves.follow(), "the first address is no move"
    settings.FLEET_URL = "https://fleet.acme.example"
    assert not is_stale(SyncKind.AGENT, caller.agent.pk)
    assert moves.follow()
    assert is_stale(SyncKind.AGENT, caller.agent.pk)
    assert is_stale(SyncKind.AGENT, other.pk)
    assert is_stale(SyncKind.CREDENTIAL, caller.credential.pk)
    assert not is_stale(SyncKind.CREDENTIAL, untouched.pk)

    make_live(kinds=kinds)
    assert not moves.follow()
    assert not is_stale(SyncKind.AGENT, caller.agent.pk)
