"""Every page of the rooms of agents, MCP servers, credentials and secrets opens, empty and full, at one cost."""

import html
import json
import re
import shlex
from itertools import product
from typing import Any

import pytest
import typer
from django.test import Client

from accounts.commands.secrets import CreateSecret, sealed_value
from accounts.models import OU, Secret, User
from agents.models import Agent, MCPTool
from powerloom.cli.main import app as weave
from powerloom.kernel.ids import new_id
from powerloom.manifests.shapes import KINDS
from tests.connected import attach_server, make_managed_server, make_server
from tests.declared import attach, done, make_skill, make_version
from tests.deployed import make_deployment, make_failed, make_running
from tests.integration.console.conftest import queries
from tests.world import World, console_of

pytestmark = pytest.mark.once


def make_secret(by: User, ou: OU, name: str = "slack", kind: str = "slack_token") -> Secret:
    value = sealed_value(ou.organization_id, "xoxb-very-secret")
    secret: Secret = done(CreateSecret(id=new_id(), ou_id=ou.id, name=name, kind=kind, **value), by)
    return secret


@pytest.mark.parametrize(
    "path",
    [
        "/agents/new",
        "/mcp-servers",
        "/mcp-servers/new",
        "/mcp-servers/new/own",
        "/mcp-servers/new/echo",
        "/mcp-servers/new/files",
        "/mcp-servers/new/postgres",
        "/mcp-servers/new/slack",
        "/credentials",
        "/credentials/new",
        "/secrets",
        "/secrets/new",
    ],
)
def test_a_room_opens_empty(world: World, alice: Client, path: str) -> None:
    for browser in (alice, console_of(world.eve), console_of(world.vera)):
        assert browser.get(path).status_code == 200


def test_every_tab_of_an_agent_opens_full(world: World, alice: Client, agent: Agent) -> None:
    skill = make_skill(world.bob, world.engineering)
    make_version(world.bob, skill)
    attach(world.alice, agent, skill)
    attach_server(world.alice, agent, make_server(world.engineering))
    for browser in (alice, console_of(world.eve)):
        for tab in ("", "prompt", "skills", "servers", "credentials", "versions", "sessions", "sync", "audit"):
            assert browser.get(f"/agents/{agent.id}?tab={tab}").status_code == 200, tab
    assert alice.get(f"/agents/{agent.id}/edit").status_code == 200
    assert alice.get(f"/agents/{agent.id}/archive").status_code == 200


TABS = ["", "tools", "policy", "config", "calls", "agents", "credentials", "audit"]


def test_every_tab_of_a_server_opens(world: World, alice: Client, agent: Agent) -> None:
    own = make_server(world.engineering)
    MCPTool.objects.filter(server=own, name="fail").update(sha256="b" * 64)
    attach_server(world.alice, agent, own)
    managed = make_failed(make_deployment(world.alice, world.engineering)).registration
    for browser in (alice, console_of(world.eve), console_of(world.vera)):
        for server, tab in product((own, managed), TABS):
            assert browser.get(f"/mcp-servers/{server.id}?tab={tab}").status_code == 200, (server.name, tab)


def test_the_pages_of_a_credential_and_a_secret_open(world: World, alice: Client, agent: Agent) -> None:
    credential = attach_server(world.alice, agent, make_server(world.engineering))
    secret = make_secret(world.bob, world.engineering)
    for path in ("", "/rotate", "/delete"):
        assert alice.get(f"/credentials/{credential.id}{path}").status_code == 200
        assert alice.get(f"/secrets/{secret.id}{path}").status_code == 200
    assert alice.get(f"/secrets/{secret.id}/users").status_code == 200


def test_an_empty_room_gives_the_line_that_makes_the_first_thing(world: World, alice: Client, agent: Agent) -> None:
    skill, nothing_yet = make_skill(world.bob, world.engineering), console_of(world.mallory)
    rooms = ["/agents", "/skills", "/mcp-servers", "/credentials", "/secrets", "/sessions", "/approvals/policies"]
    rooms += ["/organization/groups", "/organization/explain"]
    parts = [f"/agents/{agent.id}?tab=skills", f"/agents/{agent.id}?tab=servers", f"/agents/{agent.id}/sessions"]
    parts += [f"/skills/{skill.id}?tab=versions"]
    for browser, address in [*((nothing_yet, room) for room in rooms), *((alice, part) for part in parts)]:
        [line, *_] = re.findall(r'data-copies="([^"]+)"', browser.get(address).content.decode())
        told = shlex.split(html.unescape(line))
        assert fits(json.loads(told[1])) if told[0] == "echo" else verb_of(told), line
        assert told[0] != "echo" or told[2:] == ["|", "weave", "apply", "-"]


def fits(document: dict[str, Any]) -> bool:
    """Tell whether a new thing may be declared so."""
    kind, spec = KINDS[document["kind"]], document.get("spec", {})
    kind.metadata.model_validate(document["metadata"])
    kind.spec.model_validate(spec)
    return all(name in spec for name in kind.needed)


def verb_of(words: list[str]) -> Any:
    """The verb of the command line program that a line calls."""
    found: Any = typer.main.get_command(weave)
    for word in words[1:]:
        if not hasattr(found, "commands"):
            break
        found = found.commands.get(word)
    return found


def fill(world: World, agent: Agent, numbers: range) -> None:
    for number in numbers:
        server = make_server(world.engineering, f"server-{number}")
        MCPTool.objects.filter(server=server, name="fail").update(sha256="b" * 64 if number % 2 else "a" * 64)
        if number < 9:
            attach_server(world.alice, agent, server)
        make_managed_server(world.engineering, f"managed-{number}")
        make_secret(world.bob, world.engineering, f"secret-{number}")


def test_many_rows_cost_no_more_queries_than_few(world: World, alice: Client, agent: Agent) -> None:
    rooms = ("/mcp-servers", "/credentials", "/secrets")
    fill(world, agent, range(3))
    few = {room: queries(alice, room) for room in rooms}
    fill(world, agent, range(3, 12))
    assert {room: queries(alice, room) for room in rooms} == few


def test_a_running_deployment_leads_to_its_registration(world: World, alice: Client) -> None:
    deployment = make_running(make_deployment(world.alice, world.engineering))
    answer: Any = alice.get(f"/mcp-deployments/{deployment.id}")
    assert answer.headers["Location"] == f"/mcp-servers/{deployment.registration.id}"
