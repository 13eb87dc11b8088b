"""Skills over REST: named, described, activated, archived; and every refusal in its place."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pydantic import TypeAdapter

from agents.api.shapes import SkillDetailOut, SkillOut, SkillVersionOut
from agents.kinds import SyncKind
from agents.models import Skill
from powerloom.reconcile.models import SyncState
from tests.archives import GOOD, zipped
from tests.declared import attach, is_stale, make_agent, make_live, make_skill, make_version
from tests.refusals import said
from tests.world import Api, World, api_of, bind, make_role, make_user

ABSENT = "01920000-0000-7000-8000-000000000000"


def body(world: World, **fields: Any) -> dict[str, Any]:
    return {"name": "python-lint", "display_name": "Python Linter", "ou_id": str(world.engineering.id), **fields}


# --- Create and read


def test_a_new_skill_has_no_version_and_is_not_wanted_yet(world: World) -> None:
    sent = body(world, description=None, skill_type="archive")
    response = api_of(world.bob).post("/skills", sent)
    assert response.status_code == 201
    made = response.json()
    SkillDetailOut.model_validate(made)
    assert {name: made[name] for name in sent} == sent
    assert (made["current_version_id"], made["cma_skill_id"], made["display_title"]) == (None, None, "Python Linter")
    assert (made["sync_status"], made["sync"]["why"]) == ("pending", "the skill has no version yet")
    assert not SyncState.objects.exists()


def test_the_list_is_a_bare_array_with_the_fields_that_clients_read(world: World) -> None:
    skill = make_skill(world.bob, world.engineering, description="")
    version = make_version(world.bob, skill)
    make_live(skill.id)
    rows = api_of(world.eve).get("/skills").json()
    TypeAdapter(list[SkillOut]).validate_python(rows)
    assert rows[0]["current_version_id"] == str(version.id)
    assert (rows[0]["cma_skill_id"], rows[0]["sync_status"]) == (f"skill_{skill.id.hex[:12]}", "synced")
    assert rows[0]["description"] == ""


def test_ou_id_and_name_are_exact(world: World) -> None:
    make_skill(world.alice, world.engineering, "here")
    make_skill(world.alice, world.platform, "below")
    api = api_of(world.alice)
    assert [row["name"] for row in api.get("/skills", {"ou_id": world.engineering.id}).json()] == ["here"]
    assert [row["name"] for row in api.get("/skills", {"name": "below"}).json()] == ["below"]
    assert api.get("/skills", {"name": "bel"}).json() == []


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "Python Lint"}, "name"),
        ({"display_name": ""}, "display_name"),
        ({"description": "x" * 2049}, "description"),
        ({"skill_type": "script"}, "skill_type"),
        ({"skill_type": "tool_definition"}, "tool_schema"),
        ({"tool_schema": {}}, "tool_schema"),
        ({"current_version_id": ABSENT}, "current_version_id"),
        ({"system": True}, "system"),
    ],
)
def test_wrong_input_is_refused(world: World, fields: dict[str, Any], field: str) -> None:
    response = api_of(world.bob).post("/skills", body(world, **fields))
    assert (response.status_code, response.json()["error"]["detail"]["field"]) == (422, field)
    assert not Skill.objects.exists()


def test_a_tool_schema_is_kept_as_it_is_posted(world: World) -> None:
    schema = {"name": "t", "b": [1, None, {"a": ""}], "input_schema": {"type": "object"}}
    made = api_of(world.bob).post("/skills", body(world, skill_type="tool_definition", tool_schema=schema)).json()
    assert made["tool_schema"] == schema


def test_a_taken_name_is_refused_and_free_after_archiving(world: World) -> None:
    api, skill = api_of(world.bob), make_skill(world.bob, world.engineering)
    taken = api.post("/skills", body(world))
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, "name_taken")
    assert api.delete(f"/skills/{skill.id}").status_code == 204
    assert api.post("/skills", body(world)).status_code == 201


# --- Who may


def on_one_skill(skill_id: object) -> list[Callable[[Api], Any]]:
    path = f"/skills/{skill_id}"
    return [
        lambda api: api.get(path),
        lambda api: api.get(f"{path}/versions"),
        lambda api: api.get(f"{path}/grants"),
        lambda api: api.patch(path, {"description": "x"}),
        lambda api: api.patch(path, {"current_version_id": ABSENT}),
        lambda api: api.delete(path),
        lambda api: api.upload(f"{path}/versions", file=zip_file()),
        lambda api: api.post(f"{path}/grants", {"principal_id": ABSENT}),
        lambda api: api.delete(f"{path}/grants/{ABSENT}"),
        lambda api: api.post(f"{path}/sync/reset"),
    ]


def zip_file() -> Any:
    return SimpleUploadedFile("skill.zip", zipped(GOOD), "application/zip")


@pytest.mark.parametrize("route", range(10))
def test_absent_foreign_and_unseen_answer_alike(world: World, route: int) -> None:
    foreign, unseen = make_skill(world.mallory, world.zeta.ous.get()), make_skill(world.alice, world.sales)
    answers = [said(on_one_skill(id_)[route](api_of(world.bob))) for id_ in (uuid4(), foreign.id, unseen.id)]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 404


@pytest.mark.parametrize("route", [3, 5, 6, 9])
def test_who_may_only_look_is_told_which_right_is_missing(world: World, route: int) -> None:
    skill = make_skill(world.bob, world.engineering)
    status, error = said(on_one_skill(skill.id)[route](api_of(world.eve)))
    assert (status, error["code"]) == (403, "permission_denied")
    assert error["detail"]["permission"].startswith("skill:")


def test_creating_takes_the_right_in_that_ou(world: World) -> None:
    response = api_of(world.bob).post("/skills", body(world, ou_id=str(world.sales.id)))
    assert (response.status_code, response.json()["error"]["detail"]["permission"]) == (403, "skill:create")


def test_what_the_caller_can_do_is_said(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    assert set(api_of(world.bob).get(f"/skills/{skill.id}").json()["can"].values()) == {True}
    assert set(api_of(world.eve).get(f"/skills/{skill.id}").json()["can"].values()) == {False}


# --- Change


def patch(world: World, skill: Skill, changes: dict[str, Any]) -> Any:
    return api_of(world.bob).patch(f"/skills/{skill.id}", changes)


def test_only_what_is_named_changes(world: World) -> None:
    skill = make_skill(world.bob, world.engineering, description="old")
    assert patch(world, skill, {"display_name": "New"}).json()["description"] == "old"
    changed = patch(world, skill, {"description": None}).json()
    assert (changed["display_name"], changed["description"]) == ("New", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "x"},
        {"ou_id": ABSENT},
        {"current_version_id": None},
        {"display_name": None},
        {"tool_schema": {}},
        {"skill_type": "archive"},
    ],
)
def test_what_is_no_part_of_a_change_is_refused(world: World, changes: dict[str, Any]) -> None:
    assert patch(world, make_skill(world.bob, world.engineering), changes).status_code == 422


def test_a_new_name_to_show_reaches_the_runtime(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    make_version(world.bob, skill)
    make_live(skill.id)
    patch(world, skill, {"description": "only ours"})
    assert not is_stale(SyncKind.SKILL, skill.id)
    patch(world, skill, {"display_name": "New"})
    assert is_stale(SyncKind.SKILL, skill.id)


# --- Activate


def test_an_upload_does_not_activate_and_an_activation_does(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    version = make_version(world.bob, skill, activate=False)
    assert api_of(world.bob).get(f"/skills/{skill.id}").json()["current_version_id"] is None
    answer = patch(world, skill, {"current_version_id": str(version.id)})
    assert (answer.status_code, answer.json()["current_version_id"]) == (200, str(version.id))


def test_one_patch_may_describe_and_activate_as_one_set(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    version = make_version(world.bob, skill, activate=False)
    answer = patch(world, skill, {"current_version_id": str(version.id), "description": "new"}).json()
    assert (answer["current_version_id"], answer["description"]) == (str(version.id), "new")
    assert patch(world, skill, {"current_version_id": ABSENT, "description": "lost"}).status_code == 404
    assert Skill.objects.get().description == "new"


def test_activation_reaches_the_agents_that_follow_the_skill_and_no_others(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    first = make_version(world.bob, skill)
    follower, pinned, without = (make_agent(world.bob, world.engineering, name) for name in ("a", "b", "c"))
    attach(world.bob, follower, skill)
    attach(world.bob, pinned, skill, first)
    archived = make_agent(world.bob, world.engineering, "d")
    attach(world.bob, archived, skill)
    api_of(world.bob).delete(f"/agents/{archived.id}")
    second = make_version(world.bob, skill, extra="2", activate=False)
    make_live(kinds={SyncKind.AGENT})
    patch(world, skill, {"current_version_id": str(second.id)})
    stale = [agent.name for agent in (follower, pinned, without, archived) if is_stale(SyncKind.AGENT, agent.id)]
    assert stale == ["a"]


def test_activating_the_current_version_again_wakes_nobody(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    version = make_version(world.bob, skill)
    agent = make_agent(world.bob, world.engineering)
    attach(world.bob, agent, skill)
    make_live(agent.id)
    patch(world, skill, {"current_version_id": str(version.id)})
    assert not is_stale(SyncKind.AGENT, agent.id)


def test_activation_costs_the_same_for_any_number_of_followers(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    versions = [make_version(world.bob, skill, extra=str(number), activate=False) for number in range(3)]
    costs = []
    for count, version in ((3, versions[1]), (12, versions[2])):
        for number in range(count):
            attach(world.bob, make_agent(world.bob, world.engineering, f"agent-{count}-{number}"), skill)
        api = api_of(world.bob)
        with CaptureQueriesContext(connection) as captured:
            assert api.patch(f"/skills/{skill.id}", {"current_version_id": str(version.id)}).status_code == 200
        costs.append(len(captured))
    assert costs[0] == costs[1]


def test_a_version_of_another_skill_cannot_be_activated(world: World) -> None:
    other = make_version(world.bob, make_skill(world.bob, world.engineering, "other"))
    skill = make_skill(world.bob, world.engineering)
    assert patch(world, skill, {"current_version_id": str(other.id)}).status_code == 404


def test_activation_takes_the_use_of_the_skill_by_whoever_activates(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    version = make_version(world.bob, skill, activate=False)
    ada = make_user("ada@acme.example", home=world.sales)
    make_role(world.acme, "Activator", "skill:read", "skill:activate")
    bind(ada, "Activator", world.engineering)
    refused = api_of(ada).patch(f"/skills/{skill.id}", {"current_version_id": str(version.id)})
    assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, "skill:use")


def test_activation_takes_the_use_of_the_skill_by_every_followers_principal(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    grant = bind(world.vera, "SkillUser", world.engineering, resource_id=skill.id)
    agent = make_agent(world.alice, world.engineering, owner_principal_id=world.vera.id)
    attach(world.alice, agent, skill)
    version = make_version(world.bob, skill, activate=False)
    grant.delete()
    refused = patch(world, skill, {"current_version_id": str(version.id)})
    assert refused.status_code == 403
    assert "agent's principal" in refused.json()["error"]["message"]
    assert Skill.objects.get().current_version_id is None


# --- Archive


def test_a_skill_that_agents_have_cannot_be_archived(world: World) -> None:
    skill, agent = make_skill(world.bob, world.engineering), make_agent(world.bob, world.engineering)
    attach(world.bob, agent, skill)
    refused = api_of(world.bob).delete(f"/skills/{skill.id}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    assert "agent:/acme/engineering/code-reviewer" in refused.json()["error"]["message"]


def test_the_refusal_names_no_agent_that_the_caller_cannot_see(world: World) -> None:
    skill, agent = make_skill(world.bob, world.engineering), make_agent(world.alice, world.sales, "hidden")
    attach(world.alice, agent, skill)
    message = api_of(world.bob).delete(f"/skills/{skill.id}").json()["error"]["message"]
    assert "hidden" not in message
    assert "one that you cannot see" in message


def test_an_archived_agent_holds_no_skill_back(world: World) -> None:
    skill, agent = make_skill(world.bob, world.engineering), make_agent(world.bob, world.engineering)
    attach(world.bob, agent, skill)
    make_version(world.bob, skill)
    make_live(skill.id)
    api_of(world.bob).delete(f"/agents/{agent.id}")
    assert api_of(world.bob).delete(f"/skills/{skill.id}").status_code == 204
    assert api_of(world.bob).get("/skills").json() == []
    assert is_stale(SyncKind.SKILL, skill.id)
    for call in on_one_skill(skill.id):
        assert call(api_of(world.bob)).status_code == 404


# --- Versions and cost


def test_versions_are_listed_newest_first_without_their_bytes(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    first = make_version(world.bob, skill)
    make_version(world.bob, skill, extra="2", activate=False)
    api = api_of(world.eve)
    with CaptureQueriesContext(connection) as captured:
        rows = api.get(f"/skills/{skill.id}/versions").json()
    TypeAdapter(list[SkillVersionOut]).validate_python(rows)
    assert [(row["number"], row["is_current"]) for row in rows] == [(2, False), (1, True)]
    assert (rows[1]["id"], rows[1]["name"], rows[1]["description"]) == (
        str(first.id),
        "python-lint",
        "Lint Python files.",
    )
    assert not any('"archive"' in query["sql"] for query in captured)


def test_a_list_costs_the_same_for_any_number_of_rows(world: World) -> None:
    costs = []
    for count in (3, 12):
        for number in range(count):
            make_skill(world.bob, world.engineering, f"skill-{count}-{number}")
        api = api_of(world.bob)
        with CaptureQueriesContext(connection) as captured:
            assert len(api.get("/skills").json()) >= count
        costs.append(len(captured))
    assert costs[0] == costs[1] <= 8
