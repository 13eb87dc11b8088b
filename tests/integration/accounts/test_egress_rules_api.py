"""Egress rules: which private hosts an organization's calls may reach, who says so, and what no rule opens."""

from typing import Any

import pytest

from accounts.egress import way_of
from powerloom.audit.models import Entry
from powerloom.web.egress import Way
from tests.declared import make_rule
from tests.refusals import code, said
from tests.world import World, api_of

ABSENT = "01920000-0000-7000-8000-000000000000"


def test_a_rule_opens_the_way_of_its_own_organization_and_deleting_it_closes_it(world: World) -> None:
    alice = api_of(world.alice)
    made = alice.post("/egress-rules", {"pattern": "*.Acme.internal."})
    assert made.status_code == 201
    assert made.json()["pattern"] == "*.acme.internal"
    assert alice.get("/egress-rules").json() == [made.json()]
    assert way_of(world.acme.id) == Way(("*.acme.internal",))
    assert way_of(world.zeta.id) == Way()
    assert alice.delete(f"/egress-rules/{made.json()['id']}").status_code == 204
    assert (alice.get("/egress-rules").json(), way_of(world.acme.id)) == ([], Way())
    assert list(Entry.objects.order_by("id").values_list("action", flat=True))[-2:] == [
        "egress_rule:create",
        "egress_rule:delete",
    ]


def test_this_machine_is_on_the_way_in_development_mode_only(world: World, settings: Any) -> None:
    settings.DEV_MODE = True
    assert way_of(world.acme.id).loopback
    settings.DEV_MODE = False
    assert not way_of(world.acme.id).loopback


@pytest.mark.parametrize("pattern", ["tools.acme.internal", "*.internal", "10.1.2.3", "fd12::1", "100.64.0.9", "db-1"])
def test_hosts_and_private_addresses_can_be_named(world: World, pattern: str) -> None:
    assert api_of(world.alice).post("/egress-rules", {"pattern": pattern}).status_code == 201


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("", "at least 1 character"),
        ("*", "a star stands first"),
        ("tools.*.internal", "a star stands first"),
        ("*internal", "a star stands first"),
        ("https://tools.acme.internal", "the host alone"),
        ("tools.acme.internal/mcp", "the host alone"),
        ("tools.acme.internal:8443", "the host alone"),
        ("me@tools.acme.internal", "the host alone"),
        ("tools acme", "not the name of a host"),
        ("-tools.acme.internal", "not the name of a host"),
        ("300.1.2.3", "not the name of a host"),
        ("*.10.0.0.1", "nothing below it"),
        ("bücher.example", "ASCII form"),
        ("localhost", "this machine itself"),
        ("*.localhost", "this machine itself"),
        ("127.0.0.1", "this machine itself"),
        ("::1", "this machine itself"),
        ("169.254.169.254", "never reach"),
        ("8.8.8.8", "needs no rule"),
        ("0.0.0.0", "no rule opens it"),  # noqa: S104  a value, nothing binds to it
        ("10.0.0.0/8", "the host alone"),
    ],
)
def test_what_no_rule_can_open_is_refused_in_words(world: World, pattern: str, words: str) -> None:
    answer = api_of(world.alice).post("/egress-rules", {"pattern": pattern})
    assert answer.status_code == 422
    assert words in answer.json()["error"]["message"]
    assert answer.json()["error"]["detail"]["field"] == "pattern"


def test_a_rule_is_made_once(world: World) -> None:
    make_rule(world.alice, "tools.acme.internal")
    answer = api_of(world.alice).post("/egress-rules", {"pattern": "TOOLS.acme.internal"})
    assert (answer.status_code, code(answer)) == (409, "name_taken")


def test_only_who_administers_the_whole_organization_opens_a_way_out(world: World) -> None:
    rule = make_rule(world.alice, "tools.acme.internal")
    bob, mallory = api_of(world.bob), api_of(world.mallory)
    assert bob.post("/egress-rules", {"pattern": "db.acme.internal"}).status_code == 403
    assert bob.get("/egress-rules").json() == []
    absent = said(bob.delete(f"/egress-rules/{ABSENT}"))
    assert absent[0] == 404
    assert said(bob.delete(f"/egress-rules/{rule}")) == said(mallory.delete(f"/egress-rules/{rule}")) == absent
