"""The audit list: one's own organization, one's own OUs, before and after, at a constant price."""

import re

import pytest
from django.test import Client

from powerloom.audit.models import Entry
from tests.declared import make_agent
from tests.integration.console.conftest import queries
from tests.world import World, bind, console_of


def numbers(page: bytes) -> list[int]:
    return [int(number) for number in re.findall(r'href="/audit/(\d+)"', page.decode())]


def test_an_auditor_reads_the_whole_trail(world: World) -> None:
    make_agent(world.bob, world.engineering)
    bind(world.vera, "Auditor", world.root)
    page = console_of(world.vera).get("/audit").content
    assert numbers(page) == [1]
    assert b"agent:create" in page


def test_an_auditor_of_one_ou_reads_what_happened_there(world: World) -> None:
    make_agent(world.alice, world.engineering)
    make_agent(world.alice, world.sales)
    bind(world.vera, "Auditor", world.sales)
    vera = console_of(world.vera)
    [seq] = numbers(vera.get("/audit").content)
    assert Entry.objects.get(chain_id=world.acme.id, seq=seq).ou_path == "/acme/sales/"
    other = 1 if seq != 1 else 2
    assert (vera.get(f"/audit/{seq}").status_code, vera.get(f"/audit/{other}").status_code) == (200, 404)


def test_a_deny_below_takes_that_part_away(world: World) -> None:
    make_agent(world.alice, world.engineering)
    make_agent(world.alice, world.sales)
    bind(world.vera, "Auditor", world.root)
    bind(world.vera, "Auditor", world.sales, decision="deny")
    [seq] = numbers(console_of(world.vera).get("/audit").content)
    assert Entry.objects.get(chain_id=world.acme.id, seq=seq).ou_path == "/acme/engineering/"


def test_nobody_reads_another_organizations_trail(world: World) -> None:
    make_agent(world.bob, world.engineering)
    mallory = console_of(world.mallory)
    assert numbers(mallory.get("/audit").content) == []
    assert mallory.get("/audit/1").status_code == 404


def test_who_may_read_nothing_is_told_what_it_takes(world: World) -> None:
    make_agent(world.bob, world.engineering)
    page = console_of(world.eve).get("/audit").content.decode()
    assert "audit:read" in page
    assert numbers(page.encode()) == []


def test_an_entry_shows_before_and_after(world: World, alice: Client) -> None:
    make_agent(world.bob, world.engineering, model="claude-sonnet-4-6")
    page = alice.get("/audit/1").content.decode()
    assert "<ins>claude-sonnet-4-6</ins>" in page
    assert Entry.objects.get(seq=1, chain_id=world.acme.id).hash in page


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?q=bob", 1),
        ("?q=nobody", 0),
        ("?action=agent:", 2),
        ("?action=skill", 0),
        ("?decision=denied", 0),
        ("?ou=/acme/sales", 1),
        ("?target=nonsense", 0),
    ],
)
def test_filters_are_in_the_address(world: World, alice: Client, query: str, count: int) -> None:
    make_agent(world.bob, world.engineering)
    make_agent(world.alice, world.sales)
    assert len(numbers(alice.get(f"/audit{query}").content)) == count


def test_more_entries_cost_no_more_queries(world: World, alice: Client) -> None:
    for number in range(5):
        make_agent(world.bob, world.engineering, f"agent-{number}")
    few = queries(alice, "/audit")
    for number in range(5, 15):
        make_agent(world.bob, world.engineering, f"agent-{number}")
    assert queries(alice, "/audit") == few
