"""The skills' room: what it shows, and that everything done there goes through the door."""

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import Binding
from agents.models import Agent, Skill
from approvals.models import ApprovalRequest
from tests.archives import GOOD, zipped
from tests.declared import attach, make_agent, make_skill, make_version
from tests.held import make_policy
from tests.integration.console.conftest import queries
from tests.integration.console.test_agent_pages import words
from tests.standing import standing
from tests.world import World, console_of

pytestmark = pytest.mark.once

PART = {"HX-Request": "true"}


@standing
def skill(world: World) -> Skill:
    return make_skill(world.bob, world.engineering)


def upload(browser: Client, skill: Skill, content: bytes) -> Any:
    file = SimpleUploadedFile("skill.zip", content)
    return browser.post(f"/skills/{skill.id}/upload", {"file": file}, headers=PART)


def test_a_skill_is_named_filled_activated_and_used(world: World, alice: Client) -> None:
    said = {"ou_id": str(world.engineering.id), "name": "lint", "display_name": "Lint", "skill_type": "archive"}
    made = alice.post("/skills/new", said, headers=PART)
    skill = Skill.objects.get(name="lint")
    assert made.headers["HX-Redirect"] == f"/skills/{skill.id}"
    assert "no content yet" in words(alice.get(f"/skills/{skill.id}").content)
    assert upload(alice, skill, zipped(GOOD)).status_code == 204
    [version] = skill.versions.all()
    agent = make_agent(world.bob, world.engineering)
    attach(world.alice, agent, skill)
    page = words(alice.get(f"/skills/{skill.id}/versions/{version.id}/activate").content)
    assert "Agents that follow the current version 1 Code-reviewer" in page
    assert alice.post(f"/skills/{skill.id}/versions/{version.id}/activate", headers=PART).status_code == 204
    skill.refresh_from_db()
    assert skill.current_version_id == version.id
    assert "SKILL.md" in words(alice.get(f"/skills/{skill.id}?tab=files").content)


@pytest.mark.parametrize("tab", ["", "versions", "files", "agents", "access", "audit"])
def test_every_tab_opens_empty_and_full(world: World, alice: Client, skill: Skill, tab: str) -> None:
    assert alice.get(f"/skills/{skill.id}?tab={tab}").status_code == 200
    make_version(world.bob, skill)
    attach(world.alice, make_agent(world.bob, world.engineering), skill)
    alice.post(f"/skills/{skill.id}/grants", {"principal": world.eve.ref}, headers=PART)
    assert alice.get(f"/skills/{skill.id}?tab={tab}").status_code == 200


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"no archive", "zip or a tar.gz"), (zipped({"a.txt": b"x"}), "SKILL.md at its root")],
)
def test_a_bad_archive_is_refused_beside_its_field(alice: Client, skill: Skill, content: bytes, complaint: str) -> None:
    answer = upload(alice, skill, content)
    assert answer.status_code == 422
    assert re.search(rf'<div class="errors"[^>]*>[^<]*{complaint}', answer.content.decode())


def test_what_was_typed_stays_when_it_is_refused(world: World, alice: Client, skill: Skill) -> None:
    said = {"ou_id": str(world.engineering.id), "name": skill.name, "display_name": "Mine", "skill_type": "archive"}
    answer = alice.post("/skills/new", said, headers=PART)
    assert answer.status_code == 409
    assert 'value="Mine"' in answer.content.decode()
    assert "There is a skill python-lint in this OU already." in words(answer.content)


def test_a_held_change_leads_to_its_request(world: World, alice: Client) -> None:
    make_policy(world.alice, world.engineering, "skill:create")
    said = {"ou_id": str(world.engineering.id), "name": "lint", "display_name": "Lint", "skill_type": "archive"}
    answer = console_of(world.bob).post("/skills/new", said, headers=PART)
    ask = ApprovalRequest.objects.get()
    assert answer.status_code == 202
    assert f'href="/approvals/{ask.pk}"' in answer.content.decode()


def test_a_policy_that_wants_a_reason_gets_one_in_the_form(world: World) -> None:
    make_policy(world.alice, world.engineering, "skill:create", justification_required=True)
    said = {"ou_id": str(world.engineering.id), "name": "lint", "display_name": "Lint", "skill_type": "archive"}
    bob = console_of(world.bob)
    refused = bob.post("/skills/new", said, headers=PART)
    assert (refused.status_code, b'name="justification"' in refused.content) == (409, True)
    assert bob.post("/skills/new", said | {"justification": "Needed."}, headers=PART).status_code == 202
    assert ApprovalRequest.objects.get().justification == "Needed."


def test_deleting_wants_the_name_and_nobody_who_uses_it(world: World, alice: Client, skill: Skill) -> None:
    address = f"/skills/{skill.id}/archive"
    assert alice.post(address, {"typed": "other"}, headers=PART).status_code == 422
    attach(world.alice, make_agent(world.bob, world.engineering), skill)
    assert "Detach it from them first" in words(alice.get(address).content)
    assert alice.post(address, {"typed": skill.name}, headers=PART).status_code == 409
    Agent.objects.get().skill_attachments.all().delete()
    assert alice.post(address, {"typed": skill.name}, headers=PART).headers["HX-Redirect"] == "/skills"


def test_a_grant_is_given_by_name_and_ended(world: World, alice: Client, skill: Skill) -> None:
    address = f"/skills/{skill.id}/grants"
    unknown = alice.post(address, {"principal": "user:nobody@acme.example"}, headers=PART)
    assert (unknown.status_code, "Choose from the list" in words(unknown.content)) == (422, True)
    alice.post(address, {"principal": world.vera.ref}, headers=PART)
    grant = Binding.objects.get(resource_id=skill.id)
    assert world.vera.ref in words(alice.get(f"/skills/{skill.id}?tab=access").content)
    alice.post(f"{address}/{grant.id}/revoke", headers=PART)
    grant.refresh_from_db()
    assert grant.ended_at is not None


def test_what_one_may_not_do_is_shown_with_its_reason(world: World, skill: Skill) -> None:
    page = console_of(world.eve).get(f"/skills/{skill.id}").content.decode()
    assert re.search(r'aria-disabled="true" aria-description="You need skill:upload on /acme/engineering', page)
    assert (
        f'<option value="{world.bob.ref}"'
        not in console_of(world.eve).get(f"/skills/{skill.id}/grants").content.decode()
    )


def test_a_grant_offers_and_finds_no_agent_that_one_may_not_read(world: World, skill: Skill) -> None:
    near, far = make_agent(world.alice, world.engineering, "near"), make_agent(world.alice, world.sales, "far")
    address, bob = f"/skills/{skill.id}/grants", console_of(world.bob)
    page = bob.get(address).content.decode()
    assert ("engineering/near" in page, "sales/far" in page, world.vera.ref in page) == (True, False, True)
    answers = [
        bob.post(address, {"principal": f"agent:/acme/{name}"}, headers=PART).status_code
        for name in ("sales/far", "sales/absent", "engineering/near")
    ]
    assert answers == [422, 422, 204]
    assert [grant.principal_id for grant in Binding.objects.filter(resource_id=skill.id)] == [near.id]
    assert console_of(world.alice).post(address, {"principal": str(far.id)}, headers=PART).status_code == 204


def test_fifteen_skills_cost_no_more_queries_than_five(world: World, alice: Client) -> None:
    for number in range(5):
        make_skill(world.bob, world.engineering, f"skill-{number}")
    few = queries(alice, "/skills")
    for number in range(5, 15):
        make_skill(world.bob, world.engineering, f"skill-{number}")
    assert queries(alice, "/skills") == few
