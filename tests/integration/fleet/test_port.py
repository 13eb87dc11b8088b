"""Which port the fleet takes under `up`, so that two installations fit one machine."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.core.management.base import CommandError

from powerloom.run.management.commands.up import Command
from tests.servers import free_port


@pytest.fixture
def occupied() -> Iterator[int]:
    """A port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        yield port


def port_taken(beside: int) -> int:
    with ExitStack() as stack:
        port: int = stack.enter_context(Command()._listen_for_fleet(beside)).getsockname()[1]
        return port


def test_it_is_the_one_beside_the_consoles(settings: Any) -> None:
    port = free_port()
    assert port_taken(port) == settings.FLEET_PORT == port
    assert f"http://127.0.0.1:{port}" == settings.FLEET_URL


@pytest.mark.parametrize("beside", [None, 65536])
def test_it_is_any_other_where_that_cannot_be_had(settings: Any, occupied: int, beside: int | None) -> None:
    port = port_taken(beside or occupied)
    assert port not in {beside, occupied}
    assert f"http://127.0.0.1:{port}" == settings.FLEET_URL


@pytest.mark.parametrize("variable", ["POWERLOOM_FLEET_PORT", "POWERLOOM_FLEET_URL"])
def test_the_one_that_was_asked_for_or_none(
    settings: Any, monkeypatch: pytest.MonkeyPatch, occupied: int, variable: str
) -> None:
    monkeypatch.setenv(variable, "named")
    settings.FLEET_PORT, settings.FLEET_URL = free_port(), "https://fleet.acme.example"
    assert port_taken(free_port()) == settings.FLEET_PORT
    assert settings.FLEET_URL == "https://fleet.acme.example"
    settings.FLEET_PORT = occupied
    with pytest.raises(CommandError, match="POWERLOOM_FLEET_PORT"):
        port_taken(free_port())
