"""Idempotency-Key over REST: a repeat does nothing more and answers the same, except what is shown once."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, RequestFactory
from django.utils import timezone

from accounts.models import AccessToken, Binding, Group
from accounts.tokens import sign_in_token
from agents.models import SkillVersion
from powerloom.audit.models import Entry
from powerloom.commands.models import IdempotencyRecord
from powerloom.commands.tasks import sweep_idempotency
from powerloom.kernel.canonical import digest
from powerloom.web.answers import key_of
from tests.archives import GOOD, zipped
from tests.database import Race
from tests.declared import make_skill
from tests.world import World, api_of

KEY: dict[str, Any] = {"HTTP_IDEMPOTENCY_KEY": "one-and-only"}


def group(world: World, name: str = "leads") -> dict[str, Any]:
    return {"name": name, "display_name": "Leads", "ou_id": str(world.root.id)}


def test_a_repeat_does_nothing_more_and_answers_the_same(world: World) -> None:
    api = api_of(world.alice)
    first = api.post("/groups", group(world), **KEY)
    second = api.post("/groups", group(world), **KEY)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert Group.objects.count() == Entry.objects.count() == 1


def test_a_repeat_shows_the_thing_as_it_is_now(world: World) -> None:
    api = api_of(world.alice)
    made = api.post("/groups", group(world), **KEY).json()
    api.patch(f"/groups/{made['id']}", {"display_name": "Team leads"})
    assert api.post("/groups", group(world), **KEY).json()["display_name"] == "Team leads"


def test_the_same_key_with_another_body_is_refused(world: World) -> None:
    api = api_of(world.alice)
    api.post("/groups", group(world), **KEY)
    refused = api.post("/groups", group(world, "others"), **KEY)
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "idempotency_key_reused"
    assert Group.objects.count() == 1


def test_a_key_belongs_to_its_actor_and_its_route(world: World) -> None:
    api_of(world.alice).post("/groups", group(world), **KEY)
    bob = api_of(world.bob).post("/groups", group(world, "mine") | {"ou_id": str(world.engineering.id)}, **KEY)
    ou = api_of(world.alice).post(
        "/ous", {"name": "lab", "display_name": "Lab", "parent_id": str(world.root.id)}, **KEY
    )
    assert (bob.status_code, ou.status_code) == (201, 201)


def test_a_refused_write_does_not_spend_its_key(world: World) -> None:
    api = api_of(world.alice)
    made = api.post("/groups", group(world)).json()
    assert api.post("/groups", group(world), **KEY).status_code == 409
    api.delete(f"/groups/{made['id']}")
    assert api.post("/groups", group(world), **KEY).status_code == 201


def test_who_has_lost_the_right_to_read_it_gets_no_repeat(world: World) -> None:
    body = {
        "name": "reviewer",
        "ou_id": str(world.engineering.id),
        "display_name": "Reviewer",
        "model": "claude-sonnet-4-6",
        "system_prompt": "Review.",
    }
    assert api_of(world.bob).post("/agents", body, **KEY).status_code == 201
    Binding.objects.filter(principal_id=world.bob.id).update(ended_at=timezone.now())
    assert api_of(world.bob).post("/agents", body, **KEY).status_code == 404


def test_a_one_time_value_is_never_repeated(world: World) -> None:
    api = api_of(world.alice)
    first = api.post("/users/me/personal-access-tokens", {"name": "ci"}, **KEY)
    second = api.post("/users/me/personal-access-tokens", {"name": "ci"}, **KEY)
    assert first.json()["raw_token"]
    assert second.json()["raw_token"] is None
    assert second.json()["secret_already_shown"] is True
    assert second.json()["id"] == first.json()["id"]
    assert AccessToken.objects.count() == 1


def test_the_record_of_a_key_holds_no_body(world: World) -> None:
    api_of(world.alice).post("/users/me/personal-access-tokens", {"name": "canary-token-name"}, **KEY)
    kept = IdempotencyRecord.objects.values().get()
    assert "canary" not in str(kept)


def test_a_dry_run_spends_no_key(world: World) -> None:
    api = api_of(world.alice)
    assert api.post("/groups?dry_run=true", group(world), **KEY).json()["dry_run"] is True
    assert not IdempotencyRecord.objects.exists()


def test_a_key_is_forgotten_after_a_day(world: World) -> None:
    api = api_of(world.alice)
    api.post("/groups", group(world), **KEY)
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(hours=24, minutes=1))
    assert api.post("/groups", group(world), **KEY).json()["error"]["code"] == "name_taken"


def test_old_keys_are_swept(world: World) -> None:
    api_of(world.alice).post("/groups", group(world), **KEY)
    sweep_idempotency()
    assert IdempotencyRecord.objects.count() == 1
    IdempotencyRecord.objects.update(created_at=timezone.now() - timedelta(hours=25))
    sweep_idempotency()
    assert not IdempotencyRecord.objects.exists()


def test_two_at_the_same_moment_do_it_once(committed_world: World, race: Race) -> None:
    world = committed_world
    answers = race(*[lambda: api_of(world.alice).post("/groups", group(world), **KEY)] * 3)
    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Group.objects.count() == 1


@pytest.mark.parametrize("key", ["", "k" * 256, "tab\there", "smörgås"])
def test_a_bad_key_is_refused(world: World, key: str) -> None:
    answer = api_of(world.alice).post("/groups", group(world), HTTP_IDEMPOTENCY_KEY=key)
    assert answer.status_code == 422
    assert answer.json()["error"]["detail"]["field"] == "Idempotency-Key"
    assert not Group.objects.exists()


def test_an_upload_is_told_from_another_by_its_content(world: World) -> None:
    skill = make_skill(world.alice, world.root)
    client = Client(headers={"authorization": f"Bearer {sign_in_token(world.alice)}"})

    def upload(archive: bytes) -> Any:
        file = SimpleUploadedFile("skill.zip", archive, content_type="application/zip")
        return client.post(f"/api/skills/{skill.id}/versions", {"file": file}, **KEY)

    first, again = upload(zipped(GOOD)), upload(zipped(GOOD))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json()["id"] == again.json()["id"]
    assert upload(zipped({**GOOD, "more.txt": b"x"})).status_code == 409
    assert SkillVersion.objects.count() == 1


def test_the_digest_of_a_body_is_keyed() -> None:
    request = RequestFactory().post("/api/x", b"{}", content_type="application/json", **KEY)
    key = key_of(request)
    assert key is not None
    assert key.body_digest != digest(["POST", "/api/x", "", digest({})])
