"""The audit room beyond the list: what one request made together, and the chain proved, read and taken home."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from powerloom.audit.models import ChainHead, Entry
from tests.declared import make_agent
from tests.integration.audit.trails import heads_in
from tests.world import World, console_of

pytestmark = pytest.mark.once


def words(page: bytes) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.decode()).split())


def test_what_one_request_did_stands_together(world: World, alice: Client) -> None:
    body = {"email": "eve@acme.example"}
    for number in range(2):
        alice.post("/organization/groups/new", {"ou_id": "/acme", "name": f"g{number}", "display_name": "G"} | body)
    [first, _] = Entry.objects.order_by("seq")
    assert "entries of one request" not in words(alice.get("/audit").content)
    form = {"ou_id": "/acme", "name": "g2", "display_name": "G"}
    for _ in range(2):
        alice.post("/organization/groups/new", form, headers={"X-Request-Id": "req_0123456789"})
        form["name"] += "x"
    assert "2 entries of one request req_0123456789" in words(alice.get("/audit").content)
    assert words(alice.get(f"/audit?request={first.request_id}").content).count("group:create") == 1


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("target=code-reviewer", 1),
        ("target=agent", 1),
        ("target=nothing", 0),
        ("since={today}", 1),
        ("until={yesterday}", 0),
        ("since={yesterday}&until={today}", 1),
        ("since=nonsense", 1),
        ("since=2026-99-99", 1),
    ],
)
def test_target_and_days_are_filters_too(world: World, alice: Client, query: str, count: int) -> None:
    make_agent(world.bob, world.engineering)
    now = timezone.now()
    asked = query.format(today=f"{now:%Y-%m-%d}", yesterday=f"{now - timedelta(days=1):%Y-%m-%d}")
    assert alice.get(f"/audit?{asked}").content.decode().count("<tr data-row") == count


def test_the_chain_is_shown_proved_and_exported_to_who_may(world: World, alice: Client, tmp_path: Path) -> None:
    make_agent(world.bob, world.engineering)
    with heads_in(tmp_path):
        page = words(alice.get("/audit/chain").content)
        assert Entry.objects.get(seq=1, chain_id=world.acme.id).hash in page
        assert re.search(r"Intact: all 1 entries follow one another", words(alice.get("/audit/verify").content))
        export = alice.get("/audit/export")
        lines = b"".join(export).decode().splitlines()
        assert export.headers["Content-Disposition"] == 'attachment; filename="audit.jsonl"'
        assert any("agent:create" in json.dumps(json.loads(line)) for line in lines)
        assert Entry.objects.filter(action="audit:export").count() == 1
        ChainHead.objects.filter(pk=world.acme.id).update(hash="0" * 64)
        assert "Broken at entry" in words(alice.get("/audit/verify").content)
        bob = console_of(world.bob)
        assert bob.get("/audit/chain").content.decode().count('aria-disabled="true"') == 2
        assert bob.get("/audit/verify").status_code == 403
