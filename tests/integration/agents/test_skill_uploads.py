"""Uploading a skill version: checked before it is kept, kept once, and never unpacked for who may not upload."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.tokens import sign_in_token
from agents import staging, uploads
from agents.api.shapes import SkillVersionOut
from agents.archives import files_of
from agents.kinds import SyncKind
from agents.models import Skill, SkillUpload, SkillVersion
from powerloom.audit.models import Entry
from tests.archives import GOOD, SKILL_MD, tarred, zip_of_mode, zipped
from tests.declared import is_stale, make_live, make_skill, make_version
from tests.standing import standing
from tests.world import World, actor_of, api_of


def upload(by: User, skill: Skill, data: bytes, name: str = "skill.zip", kind: str = "application/zip") -> Any:
    return api_of(by).upload(f"/skills/{skill.id}/versions", file=SimpleUploadedFile(name, data, kind))


@standing
def skill(world: World) -> Skill:
    return make_skill(world.bob, world.engineering)


def test_an_upload_becomes_an_immutable_version(world: World, skill: Skill) -> None:
    response = upload(world.bob, skill, zipped(GOOD))
    assert response.status_code == 201
    made = response.json()
    SkillVersionOut.model_validate(made)
    assert (made["number"], made["name"], made["description"]) == (1, "python-lint", "Lint Python files.")
    assert made["size_bytes"] == sum(map(len, GOOD.values()))
    version = SkillVersion.objects.get()
    assert files_of(bytes(version.archive)) == GOOD
    assert (version.sha256, version.author_ref) == (made["sha256"], "user:bob@acme.example")
    assert not SkillUpload.objects.exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("skill.tar.gz", "application/gzip"), ("skill.tgz", "application/octet-stream"), ("x", "text/plain")],
)
def test_what_it_is_called_does_not_matter(world: World, skill: Skill, name: str, kind: str) -> None:
    assert upload(world.bob, skill, tarred(), name, kind).status_code == 201


def test_the_first_version_makes_the_skill_wanted_and_each_version_itself(world: World, skill: Skill) -> None:
    first = make_version(world.bob, skill, activate=False)
    assert is_stale(SyncKind.SKILL, skill.id)
    assert is_stale(SyncKind.SKILL_VERSION, first.id)
    make_live(skill.id, first.id)
    second = make_version(world.bob, skill, extra="2", activate=False)
    assert not is_stale(SyncKind.SKILL, skill.id)
    assert not is_stale(SyncKind.SKILL_VERSION, first.id)
    assert is_stale(SyncKind.SKILL_VERSION, second.id)


def test_the_same_content_again_is_the_version_it_is(world: World, skill: Skill) -> None:
    first = upload(world.bob, skill, zipped(GOOD)).json()
    make_live(kinds={SyncKind.SKILL_VERSION})
    again = upload(world.bob, skill, zipped({f"top/{path}": content for path, content in GOOD.items()}))
    assert (again.status_code, again.json()["id"]) == (201, first["id"])
    assert SkillVersion.objects.count() == 1
    assert not is_stale(SyncKind.SKILL_VERSION, SkillVersion.objects.get().id)
    assert not SkillUpload.objects.exists()


def test_the_same_content_in_another_skill_is_a_version_of_its_own(world: World, skill: Skill) -> None:
    other = make_skill(world.bob, world.engineering, "other")
    ids = {upload(world.bob, one, zipped(GOOD)).json()["id"] for one in (skill, other)}
    assert len(ids) == 2


def test_an_idempotency_key_repeats_the_answer(world: World, skill: Skill) -> None:
    data, headers = zipped(GOOD), {"Authorization": f"Bearer {sign_in_token(world.bob)}", "Idempotency-Key": "k"}

    def send() -> Any:
        file = SimpleUploadedFile("skill.zip", data, "application/zip")
        return Client().post(f"/api/skills/{skill.id}/versions", {"file": file}, headers=headers)

    first, again = send(), send()
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert not SkillUpload.objects.exists()


def test_a_dry_run_keeps_nothing(world: World, skill: Skill) -> None:
    file = SimpleUploadedFile("skill.zip", zipped(GOOD), "application/zip")
    answer = api_of(world.bob).upload(f"/skills/{skill.id}/versions?dry_run=true", file=file)
    assert answer.json()["commands"][0]["after"]["number"] == 1
    assert not SkillVersion.objects.exists()
    assert not SkillUpload.objects.exists()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "zip or a tar.gz"),
        (b"hello", "zip or a tar.gz"),
        (zipped({"README.md": b"x"}), "SKILL.md"),
        (zipped({"SKILL.md": SKILL_MD, "../x": b""}), "not a plain path"),
        (zip_of_mode("link", 0o120777), "not a plain file"),
        (zipped({"SKILL.md": SKILL_MD.replace(b"python-lint", b"claude-lint")}), "may not contain"),
    ],
)
def test_a_bad_archive_is_refused_in_words(world: World, skill: Skill, data: bytes, why: str) -> None:
    response = upload(world.bob, skill, data)
    assert (response.status_code, response.json()["error"]["detail"]["field"]) == (422, "file")
    assert why in response.json()["error"]["message"]
    assert not SkillVersion.objects.exists()
    assert not SkillUpload.objects.exists()


def test_an_archive_over_the_limit_is_refused(world: World, skill: Skill, settings: Any) -> None:
    settings.MAX_SKILL_UPLOAD = 1000
    response = upload(world.bob, skill, bytes(1001))
    assert (response.status_code, response.json()["error"]["code"]) == (413, "too_large")
    assert response.json()["error"]["detail"]["limit"] == 1000


@pytest.mark.parametrize("sent", [{}, {"archive": b"x"}, {"file": "text, not a file"}])
def test_a_missing_file_is_named(world: World, skill: Skill, sent: dict[str, Any]) -> None:
    response = api_of(world.bob).upload(f"/skills/{skill.id}/versions", **sent)
    assert (response.status_code, response.json()["error"]["detail"]["field"]) == (422, "file")


def test_a_tool_definition_takes_no_archive(world: World) -> None:
    schema = {"input_schema": {"type": "object"}}
    tool = make_skill(world.bob, world.engineering, skill_type="tool_definition", tool_schema=schema)
    assert upload(world.bob, tool, zipped(GOOD)).status_code == 422


def test_nothing_is_unpacked_for_who_may_not_upload(world: World, skill: Skill) -> None:
    response = upload(world.eve, skill, b"not even an archive")
    assert (response.status_code, response.json()["error"]["detail"]["permission"]) == (403, "skill:upload")
    assert not SkillUpload.objects.exists()
    entry = Entry.objects.latest("created_at")
    assert (entry.action, entry.decision, entry.actor_ref) == ("skill:upload", "denied", "user:eve@acme.example")


def test_a_staged_archive_belongs_to_its_organization(world: World, skill: Skill) -> None:
    staged = uploads.stage(zipped(GOOD), actor=actor_of(world.mallory))
    uploads.discard(staged, actor=actor_of(world.bob))
    assert SkillUpload.objects.filter(pk=staged).exists()


def test_forgotten_archives_are_swept_with_the_next_upload(world: World, skill: Skill) -> None:
    old = uploads.stage(zipped(GOOD), actor=actor_of(world.bob))
    SkillUpload.objects.filter(pk=old).update(created_at=timezone.now() - staging.KEPT - timedelta(days=1))
    uploads.stage(zipped(GOOD), actor=actor_of(world.bob))
    assert not SkillUpload.objects.filter(pk=old).exists()


def test_the_kept_archive_is_the_rebuilt_one(world: World, skill: Skill) -> None:
    commented = zipped(GOOD)[:-2] + b"\x06\x00hidden"
    upload(world.bob, skill, commented)
    kept = bytes(SkillVersion.objects.get().archive)
    assert b"hidden" not in kept
    assert hashlib.sha256(kept).digest() != hashlib.sha256(commented).digest()
