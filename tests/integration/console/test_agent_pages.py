"""The agents' rooms: what they show, by which filters, and with how many queries."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from agents.commands import UpdateAgent
from agents.kinds import SyncKind
from agents.models import Agent
from agents.spec import AgentChanges
from powerloom.audit.models import Entry
from powerloom.reconcile.models import SyncState
from tests.connected import attach_server, make_managed_server, make_server
from tests.declared import done, make_agent, make_live
from tests.integration.console.conftest import queries
from tests.world import World, console_of


def words(page: bytes) -> str:
    """Return the page's text, spaces evened."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.decode()).split())


def park(agent: Agent, error: str) -> None:
    SyncState.objects.filter(object_id=agent.id).update(parked_at=timezone.now(), last_error=error, attempts=10)


def test_the_list_shows_where_each_agent_stands(world: World, alice: Client) -> None:
    for name in ["waiting", "parked", "live"]:
        make_agent(world.bob, world.engineering, name)
    live, parked = Agent.objects.get(name="live"), Agent.objects.get(name="parked")
    make_live(live.id, kinds={SyncKind.ENVIRONMENT})
    park(parked, "refused")
    page = words(alice.get("/agents").content)
    assert re.search(r"live Synced Ready /acme/engineering claude-sonnet-4-6 user:bob@acme.example", page)
    assert re.search(r"parked Parked", page)
    assert re.search(r"waiting Pending", page)


def test_each_row_lets_one_invoke_its_agent_or_says_why_not(world: World, alice: Client) -> None:
    live, waiting = (make_agent(world.bob, world.engineering, name) for name in ("live", "waiting"))
    make_live(live.id, kinds={SyncKind.ENVIRONMENT})
    page = alice.get("/agents").content.decode()
    assert f'href="/agents/{live.id}#invoke" aria-label="Invoke live"' in page
    assert f"/agents/{waiting.id}#invoke" not in page
    assert re.search(r'aria-disabled="true" aria-label="Invoke waiting" title="Not live yet: ', page)
    refused = console_of(world.eve).get("/agents").content.decode()
    assert "#invoke" not in refused
    assert refused.count('title="You need agent:invoke on /acme/engineering') == 2


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["here", "below"]),
        ("?q=bel", ["below"]),
        ("?ou=/acme/engineering/platform", ["below"]),
        ("?ou=/acme/sales", []),
        ("?sync=parked", ["here"]),
        ("?sync=synced", []),
        ("?sync=nonsense", ["here", "below"]),
    ],
)
def test_filters_are_in_the_address(world: World, alice: Client, query: str, names: list[str]) -> None:
    park(make_agent(world.bob, world.engineering, "here"), "refused")
    make_agent(world.bob, world.platform, "below")
    page = alice.get(f"/agents{query}").content.decode()
    assert sorted(re.findall(r'<td class="fit"><a href="/agents/[^"]+">([^<]+)</a>', page)) == sorted(names)


def test_a_chosen_filter_is_a_chip_that_takes_it_away(alice: Client) -> None:
    page = alice.get("/agents?q=x&sync=parked").content.decode()
    assert 'href="/agents?q=x"' in page
    assert 'href="/agents?sync=parked"' in page


def test_an_empty_list_teaches(alice: Client) -> None:
    page = words(alice.get("/agents").content)
    assert "An agent is declared here" in page
    assert "| weave apply -" in page


def test_a_reload_of_the_table_alone_is_a_fragment(alice: Client) -> None:
    assert b"<html" not in alice.get("/agents", headers={"HX-Request": "true"}).content


def test_fifty_one_agents_cost_no_more_queries_than_five_and_are_two_pages(world: World, alice: Client) -> None:
    for number in range(5):
        make_agent(world.bob, world.engineering, f"agent-{number}")
    few = {path: queries(alice, path) for path in ("/agents", "/")}
    for number in range(5, 51):
        make_agent(world.bob, world.engineering, f"agent-{number}")
    assert {path: queries(alice, path) for path in few} == few
    first = alice.get("/agents").content.decode()
    [following] = re.findall(r'href="(\?cursor=[^"]+)" rel="next"', first)
    second = alice.get(f"/agents{following}").content.decode()
    assert (first.count("<tr data-row"), second.count("<tr data-row")) == (50, 1)
    assert 'rel="next"' not in second


def test_a_cursor_that_is_not_ours_is_refused(alice: Client) -> None:
    assert alice.get("/agents?cursor=forged").status_code == 422


@pytest.mark.parametrize(
    "tab", ["", "prompt", "skills", "servers", "versions", "sessions", "sync", "audit", "nonsense"]
)
def test_every_tab_opens(alice: Client, agent: Agent, tab: str) -> None:
    answer = alice.get(f"/agents/{agent.id}?tab={tab}")
    assert answer.status_code == 200
    assert answer.content.decode().count('aria-current="page"') == 2


def test_the_mcp_tab_shows_tools_credential_and_what_keeps_a_server_away(
    world: World, alice: Client, agent: Agent
) -> None:
    held = attach_server(world.alice, agent, make_server(world.engineering), permission="always_ask", four_eyes=True)
    make_live(held.id)
    attach_server(world.alice, agent, make_managed_server(world.engineering, "fresh", status="deploying", tools=()))
    page = words(alice.get(f"/agents/{agent.id}?tab=servers").content)
    asking = r"echo \(asks\), fail \(asks\); confirmed by another person"
    assert re.search(rf"Notes /acme/engineering {asking} In the vault –", page)
    assert re.search(r"Fresh /acme/engineering None Not in the vault its deployment is deploying", page)


def test_a_parked_agent_says_what_to_do(alice: Client, agent: Agent) -> None:
    park(agent, "the runtime refused model `claude-x`.")
    page = words(alice.get(f"/agents/{agent.id}").content)
    assert "Parked after 10 failures: the runtime refused model `claude-x`. Change what it names, then Reset." in page


def test_reset_goes_through_the_bus(alice: Client, agent: Agent) -> None:
    park(agent, "refused")
    answer = alice.post(f"/agents/{agent.id}/reset-sync", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (200, "#toasts")
    assert SyncState.objects.get(object_id=agent.id).parked_at is None
    assert Entry.objects.filter(action="agent:reset_sync", decision="allowed").count() == 1


def test_versions_show_what_changed(world: World, alice: Client, agent: Agent) -> None:
    done(UpdateAgent(agent_id=agent.id, changes=AgentChanges(model="claude-opus-4-1")), world.bob)
    page = alice.get(f"/agents/{agent.id}?tab=versions").content.decode()
    assert "<del>claude-sonnet-4-6</del>" in page
    assert "<ins>claude-opus-4-1</ins>" in page


def test_the_theme_of_the_cookie_is_on_the_page_before_any_script(alice: Client) -> None:
    alice.cookies["theme"] = "dark"
    assert '<html lang="en" data-theme="dark">' in alice.get("/agents").content.decode()
    alice.cookies["theme"] = '"><script>'
    assert '<html lang="en">' in alice.get("/agents").content.decode()
