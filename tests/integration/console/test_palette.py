"""The palette: any object by name or any id, verbs, and nothing that one may not see."""

import re

import pytest
from django.test import Client

from agents.models import Agent
from powerloom.reconcile.models import SyncState
from sessions.models import AgentSession
from tests.connected import make_managed_server
from tests.declared import make_agent, make_skill
from tests.held import held_agent, make_policy
from tests.integration.console.conftest import queries
from tests.world import World, console_of, make_group

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("session")]


def found(client: Client, text: str) -> list[str]:
    """Return the lines of the answer: word and name."""
    page = client.get("/find", {"q": text}).content.decode()
    plain = [re.sub(r"<svg.*?</svg>", "", line) for line in re.findall(r"<li><a.*?</a></li>", page)]
    return [" ".join(re.findall(r"<span[^>]*>([^<]*)</span>", line)[:2]) for line in plain]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("code-rev", "Agent Code-Reviewer"),
        ("code-rev", "Do Invoke Code-Reviewer"),
        ("migration", "Session Review the migration."),
        ("platform", "OU Platform"),
        ("vera@", "User vera@acme.example"),
        ("Audit", "Go to Audit"),
        ("audit", "Role Auditor"),
        ("new tok", "Do New token"),
        ("invoke", "Do Invoke an agent"),
        ("invoke", "Do Invoke Code-Reviewer"),
        ("Invoke review", "Do Invoke Code-Reviewer"),
    ],
)
def test_names_and_verbs_are_found(alice: Client, session: AgentSession, text: str, line: str) -> None:
    assert line.lower() in [one.lower() for one in found(alice, text)]


def test_to_invoke_is_offered_for_what_one_may_invoke(world: World, agent: Agent) -> None:
    assert found(console_of(world.bob), "invoke code") == [f"Do Invoke {agent.display_name}"]
    assert found(console_of(world.eve), "invoke code") == []


def test_every_id_leads_to_what_it_names(world: World, alice: Client, agent: Agent, session: AgentSession) -> None:
    SyncState.objects.filter(object_id=agent.id).update(remote_id="agent_018f")
    server = make_managed_server(world.engineering)
    group = make_group(world.engineering, "leads")
    assert found(alice, str(agent.id)) == [f"Agent {agent.display_name}"]
    assert found(alice, str(group.id)) == ["Group Leads"]
    assert found(alice, str(server.id)) == [f"MCP server {server.display_name}"]
    assert found(alice, "agent_018f") == [f"Agent {agent.display_name}"]
    assert found(alice, "sesn_01") == ["Session Review the migration."]
    held = held_agent(world.bob, make_policy(world.alice, world.engineering).scope_ou, "held")
    assert found(alice, str(held.pk)) == ["Request agent:create held"]


def test_a_request_id_leads_to_what_it_did(world: World, alice: Client) -> None:
    form = {"ou_id": "/acme/sales", "name": "made", "display_name": "Made"}
    alice.post("/organization/groups/new", form, headers={"X-Request-Id": "req_0123456789"})
    assert found(alice, "req_0123456789") == ["Audit What request req_0123456789 did"]
    assert found(console_of(world.eve), "req_0123456789") == []


@pytest.mark.parametrize("member", ["mallory", "vera"])
def test_nobody_finds_what_it_may_not_see(world: World, agent: Agent, session: AgentSession, member: str) -> None:
    make_skill(world.bob, world.engineering)
    somebody = console_of(getattr(world, member))
    everything = [
        line for text in ("o", "e", str(agent.id), str(session.id), "sesn_01") for line in found(somebody, text)
    ]
    if member == "mallory":
        assert not any(line.split()[0] in {"Agent", "Skill", "Session", "Group"} for line in everything)
        assert "User bob@acme.example" not in everything
    else:
        assert f"Agent {agent.display_name}" in everything


def test_what_is_not_there_says_so_with_the_text_made_safe(alice: Client) -> None:
    page = alice.get("/find", {"q": "<b>\u202e"}).content.decode()
    assert "Nothing that you may see is called" in page
    assert "&lt;b&gt;⟦U+202E⟧" in page


def test_more_objects_cost_no_more_queries(world: World, alice: Client) -> None:
    for number in range(8):
        if number == 2:
            few = queries(alice, "/find?q=e")
        make_agent(world.bob, world.engineering, f"needle-{number}")
        make_group(world.engineering, f"needles-{number}")
    assert queries(alice, "/find?q=e") == few
