"""A fleet on loopback with a runtime elsewhere: said at the start, and on every agent that it concerns."""

from pathlib import Path
from typing import Any

import pytest

from agents.drivers.servers import needs, reaches
from agents.spec import AgentSpec, AttachedServer
from powerloom.checks import fleet_is_in_reach, refuse_to_start
from tests.connected import make_managed_server, make_server
from tests.world import World

HOSTED = "https://api.anthropic.com"
ELSEWHERE = "https://fleet.acme.example"


def waits_for(*server_ids: Any) -> list[str]:
    attached = [AttachedServer(mcp_server_registration_id=id_) for id_ in server_ids]
    spec = AgentSpec(display_name="A", model="claude-sonnet-4-6", system_prompt="x", mcp_servers=attached)
    return [need.what for need in needs(spec, reaches([spec]))]


@pytest.mark.django_db
def test_agents_with_managed_servers_wait_and_say_for_what(world: World, settings: Any) -> None:
    managed, foreign = make_managed_server(world.platform), make_server(world.platform)
    assert waits_for(managed.pk, foreign.pk) == []
    settings.CMA_URL = HOSTED
    [why] = waits_for(managed.pk, foreign.pk)
    assert "POWERLOOM_FLEET_URL" in why
    assert waits_for(foreign.pk) == []
    settings.CMA_ACCOUNTS = {str(world.acme.pk): {"url": "http://127.0.0.1:9", "key": "k"}}
    assert waits_for(managed.pk) == []
    settings.CMA_ACCOUNTS, settings.FLEET_URL = {}, ELSEWHERE
    assert waits_for(managed.pk) == []


def test_the_start_warns_of_it_and_goes_on(settings: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    settings.AUDIT_KEY = tmp_path / "absent"  # other tests sign heads with theirs, which would stop this process
    assert fleet_is_in_reach() == []
    settings.CMA_ACCOUNTS = {"one": {"url": HOSTED, "key": "k"}}
    assert [warning.id for warning in fleet_is_in_reach()] == ["powerloom.W001"]
    refuse_to_start()
    assert "POWERLOOM_FLEET_URL" in caplog.text
    settings.FLEET_URL = ELSEWHERE
    assert fleet_is_in_reach() == []
