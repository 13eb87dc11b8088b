"""The overview: what needs a person, the charts of recent days, and first steps that tick themselves."""

import re
from datetime import date, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import AccessToken
from agents.models import AgentVersion
from powerloom.console.charts import daily, days_back
from powerloom.reconcile.models import SyncState
from sessions.models import AgentSession, Status
from tests.declared import make_agent, make_live
from tests.held import held_agent, make_policy
from tests.integration.console.conftest import make_session, queries
from tests.world import World, console_of, make_token

pytestmark = pytest.mark.once


def words(page: bytes) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.decode()).split())


def needs(client: Client) -> str:
    return words(client.get("/").content).partition("Needs you now")[2].partition("Sessions")[0]


def test_what_needs_a_person_is_what_that_person_can_see_to(world: World, alice: Client) -> None:
    assert "Nothing waits for you" in needs(alice)
    make_policy(world.alice, world.engineering)
    held_agent(world.bob, world.engineering, "held")
    agent = make_agent(world.alice, world.sales, "parked")
    SyncState.objects.filter(object_id=agent.id).update(parked_at=timezone.now(), last_error="no such model")
    make_session(agent, world.alice, title="Toolless", degradation_flagged=True)
    make_token(world.alice, expires_at=timezone.now() + timedelta(days=3))
    seen = needs(alice)
    for said in ("Parked", "no such model", "Degraded", "Toolless", "Expiring", "made for a test"):
        assert said in seen
    vera = needs(console_of(world.vera))
    assert "agent:create held asked by user:bob@acme.example" in vera
    assert "Expiring" not in vera
    assert "Nothing waits for you" in needs(console_of(world.mallory))
    AccessToken.objects.update(revoked_at=timezone.now())
    assert "Expiring" not in needs(alice)


def test_the_first_steps_tick_by_what_is_there(world: World, alice: Client) -> None:
    mallory = console_of(world.mallory)
    assert words(mallory.get("/").content).count(" Open ") == 6
    agent = make_agent(world.bob, world.engineering)
    page = words(alice.get("/").content)
    assert re.search(r"Done Declare an agent Open See it live", page)
    make_live(agent.id)
    make_session(agent, world.bob)
    assert re.search(r"Done Invoke it .* Open Have a policy", words(alice.get("/").content))
    make_policy(world.alice, world.engineering)
    assert "First steps" not in words(alice.get("/").content)


def test_the_charts_count_days_and_say_so_in_words(world: World, alice: Client) -> None:
    agent = make_agent(world.bob, world.engineering)
    now = timezone.now()
    for status, calls in ((Status.IDLE_END_TURN, 3), (Status.FAILED, 1)):
        made = make_session(agent, world.bob, status=status, mcp_tool_use_count=calls)
        AgentSession.objects.filter(pk=made.pk).update(created_at=now)
    AgentVersion.objects.update(created_at=now - timedelta(seconds=4), live_at=now)
    page = alice.get("/").content.decode()
    today = f"{now:%b} {now.day}"
    for said in (f"Sessions a day: {today} 2", f"calls a day: {today} 4", f"Failures a day: {today} 1"):
        assert said in page
    assert f"Time to converge a day: {today} 4.0 s" in page
    assert "Sessions a day: none" in console_of(world.mallory).get("/").content.decode()


def test_a_bar_is_as_high_as_its_share_and_the_least_is_seen() -> None:
    days = days_back(date(2026, 3, 2), 3)
    chart = daily("Calls", {days[0]: 1000.0, days[2]: 1.0}, days, figure="1,001")
    assert [bar.height for bar in chart.bars] == ["56.0", "0.0", "2.0"]
    assert [bar.words for bar in chart.bars] == ["Feb 28: 1000", "Mar 1: 0", "Mar 2: 1"]
    assert chart.label == "Calls a day: Feb 28 1000, Mar 2 1"


def test_more_of_everything_costs_no_more_queries(world: World, alice: Client) -> None:
    for number in range(8):
        if number == 2:
            few = queries(alice, "/")
        agent = make_agent(world.bob, world.engineering, f"agent-{number}")
        SyncState.objects.filter(object_id=agent.id).update(parked_at=timezone.now())
        make_session(agent, world.bob, degradation_flagged=True)
        make_token(world.alice, expires_at=timezone.now() + timedelta(days=3))
    assert queries(alice, "/") == few
