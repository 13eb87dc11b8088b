"""What the audit says after a story: one entry for every act and every refusal, none for what did not happen."""

import json
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile

from powerloom.audit.models import Entry
from tests.archives import GOOD, zipped
from tests.world import World, api_of


def trail() -> list[tuple[str, str, str, str]]:
    rows = Entry.objects.order_by("seq").values_list("actor_ref", "action", "decision", "target_name")
    return [(actor.removeprefix("user:").partition("@")[0], action, said, name) for actor, action, said, name in rows]


def body_of(action: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Entry.objects.filter(action=action).latest("seq").body)
    return found


def test_a_story_of_one_agent_and_its_skill(world: World) -> None:
    bob, eve = api_of(world.bob), api_of(world.eve)
    at = {"ou_id": str(world.engineering.id)}
    agent = bob.post(
        "/agents", {**at, "name": "reviewer", "display_name": "R", "model": "m", "system_prompt": "p"}
    ).json()
    skill = bob.post("/skills", {**at, "name": "lint", "display_name": "L"}).json()
    file = SimpleUploadedFile("s.zip", zipped(GOOD), "application/zip")
    version = bob.upload(f"/skills/{skill['id']}/versions", file=file).json()
    bob.patch(f"/skills/{skill['id']}", {"current_version_id": version["id"]})
    bob.post(f"/agents/{agent['id']}/skills", {"skill_id": skill["id"]})
    eve.patch(f"/agents/{agent['id']}", {"model": "m2"})
    bob.patch(f"/agents/{agent['id']}?dry_run=true", {"model": "m2"})
    bob.patch(f"/agents/{agent['id']}", {"model": ""})
    bob.patch(f"/agents/{agent['id']}", {"model": "m2"})
    bob.post(f"/agents/{agent['id']}/versions/2/restore")
    bob.post(f"/agents/{agent['id']}/sync/reset")
    bob.post(f"/skills/{skill['id']}/grants", {"principal_id": str(world.vera.id)})
    bob.delete(f"/agents/{agent['id']}/skills/{skill['id']}")
    api_of(world.mallory).delete(f"/agents/{agent['id']}")
    bob.delete(f"/agents/{agent['id']}")
    bob.delete(f"/skills/{skill['id']}")
    acme = [row for row in trail() if row[0] != "mallory"]
    assert acme == [
        ("bob", "agent:create", "allowed", "reviewer"),
        ("bob", "skill:create", "allowed", "lint"),
        ("bob", "skill:upload", "allowed", "lint"),
        ("bob", "skill:activate", "allowed", "lint"),
        ("bob", "agent:attach_skill", "allowed", "reviewer"),
        ("eve", "agent:update", "denied", "reviewer"),
        ("bob", "agent:update", "allowed", "reviewer"),
        ("bob", "agent:restore", "allowed", "reviewer"),
        ("bob", "agent:reset_sync", "allowed", "reviewer"),
        ("bob", "skill:grant", "allowed", "lint"),
        ("bob", "agent:detach_skill", "allowed", "reviewer"),
        ("bob", "agent:archive", "allowed", "reviewer"),
        ("bob", "skill:archive", "allowed", "lint"),
    ]
    hidden = Entry.objects.get(actor_ref="user:mallory@zeta.example")
    assert (hidden.action, hidden.decision, hidden.chain_id) == ("agent:archive", "not_found", world.zeta.id)


def test_an_entry_says_what_differs_before_and_after(world: World) -> None:
    bob = api_of(world.bob)
    said = {"name": "a", "display_name": "A", "model": "m", "system_prompt": "p", "ou_id": str(world.engineering.id)}
    agent = bob.post("/agents", said).json()
    bob.patch(f"/agents/{agent['id']}", {"model": "m2", "display_name": "A"})
    made, changed = body_of("agent:create"), body_of("agent:update")
    assert made["before"] is None
    assert (made["after"]["name"], made["after"]["ou_path"]) == ("a", "/acme/engineering/")
    assert made["after"]["owner_principal_id"] == str(world.bob.id)
    assert changed["before"] == {"model": "m"}
    assert changed["after"] == {"model": "m2", "version": 2}
    assert changed["target"]["ou_path"] == "/acme/engineering/"


def test_a_long_prompt_is_kept_as_its_digest_and_beginning(world: World) -> None:
    long = {"name": "a", "display_name": "A", "model": "m", "system_prompt": "x" * 100_000}
    api_of(world.bob).post("/agents", {**long, "ou_id": str(world.engineering.id)})
    kept = body_of("agent:create")["after"]["system_prompt"]
    assert (kept["length"], kept["begins"][:3]) == (100_000, "xxx")
