"""Versions of an agent: each the whole spec, compared field by field, and restorable as the newest one."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from agents.api.shapes import VersionDetailOut, VersionDiffOut, VersionOut
from agents.kinds import SyncKind
from agents.models import Agent, AgentSkill, AgentVersion
from tests.declared import attach, is_stale, make_agent, make_live, make_skill, make_version
from tests.world import World, api_of, bind, make_role, make_user


def change(world: World, agent: Agent, **changes: Any) -> None:
    assert api_of(world.bob).patch(f"/agents/{agent.id}", changes).status_code == 200


def listed(response: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = response.json()
    return rows


def restore(world: World, agent: Agent, number: int) -> Any:
    return api_of(world.bob).post(f"/agents/{agent.id}/versions/{number}/restore")


def test_versions_are_listed_newest_first_with_their_authors(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    assert api_of(world.alice).patch(f"/agents/{agent.id}", {"model": "m2"}).status_code == 200
    AgentVersion.objects.filter(number=1).update(cma_version="7")
    rows = listed(api_of(world.eve).get(f"/agents/{agent.id}/versions"))
    TypeAdapter(list[VersionOut]).validate_python(rows)
    assert [(row["number"], row["author_ref"], row["cma_version"]) for row in rows] == [
        (2, "user:alice@acme.example", None),
        (1, "user:bob@acme.example", "7"),
    ]


def test_a_list_of_versions_loads_no_prompts(world: World) -> None:
    agent = make_agent(world.bob, world.engineering, system_prompt="secret recipe")
    assert b"secret recipe" not in api_of(world.bob).get(f"/agents/{agent.id}/versions").content


def test_a_version_is_the_whole_spec(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    skill = make_skill(world.bob, world.engineering)
    attach(world.bob, agent, skill)
    answer = api_of(world.eve).get(f"/agents/{agent.id}/versions/2").json()
    VersionDetailOut.model_validate(answer)
    assert answer["spec"]["skills"] == [{"skill_id": str(skill.id), "skill_version_id": None}]
    assert answer["spec"]["system_prompt"] == "Review code.\n"


def test_two_versions_are_compared_field_by_field(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    change(world, agent, model={"id": "m2"}, tools={"bash": {"permission": "always_ask"}})
    answer = api_of(world.eve).get(f"/agents/{agent.id}/versions/1/diff/2").json()
    VersionDiffOut.model_validate(answer)
    assert answer["changes"] == [
        {"field": "model", "before": "claude-sonnet-4-6", "after": {"id": "m2"}},
        {"field": "tools.bash.permission", "before": "always_allow", "after": "always_ask"},
    ]


@pytest.mark.parametrize("path", ["versions/9", "versions/1/diff/9", "versions/9/diff/1", "versions/0"])
def test_a_version_that_never_was_is_not_found(world: World, path: str) -> None:
    agent = make_agent(world.bob, world.engineering)
    assert api_of(world.bob).get(f"/agents/{agent.id}/{path}").status_code == 404


@pytest.mark.parametrize(("number", "status"), [(9, 404), (0, 404), (10**30, 422)])
def test_what_never_was_cannot_be_restored(world: World, number: int, status: int) -> None:
    agent = make_agent(world.bob, world.engineering)
    assert restore(world, agent, number).status_code == status


def test_restoring_makes_the_old_spec_the_newest_version(world: World) -> None:
    agent = make_agent(world.bob, world.engineering, description="first")
    change(world, agent, description="second", display_name="Second")
    make_live(agent.id)
    restored = restore(world, agent, 1).json()
    assert (restored["version"], restored["description"], restored["display_name"]) == (3, "first", "Code-reviewer")
    newest = AgentVersion.objects.get(agent=agent, number=3)
    assert (newest.restored_from, newest.author_ref) == (1, "user:bob@acme.example")
    assert Agent.objects.get().display_name == "Code-reviewer"
    assert is_stale(SyncKind.AGENT, agent.id)


def test_restoring_brings_attachments_back_with_their_pins(world: World) -> None:
    agent, skill = make_agent(world.bob, world.engineering), make_skill(world.bob, world.engineering)
    version = make_version(world.bob, skill)
    attach(world.bob, agent, skill, version)
    api = api_of(world.bob)
    api.post(f"/agents/{agent.id}/skills", {"skill_id": "pdf"})
    api.delete(f"/agents/{agent.id}/skills/{skill.id}")
    api.delete(f"/agents/{agent.id}/skills/pdf")
    assert restore(world, agent, 3).json()["skills"] == [
        {"skill_id": str(skill.id), "skill_version_id": str(version.id)},
        {"skill_id": "pdf", "skill_version_id": None},
    ]
    assert AgentSkill.objects.filter(agent=agent).count() == 2


def test_restoring_the_newest_changes_nothing(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    assert restore(world, agent, 1).json()["version"] == 1


def with_borrowed_skill(world: World) -> Agent:
    """An agent of Bob's whose version 2 has a skill that was detached again."""
    agent, skill = make_agent(world.bob, world.engineering), make_skill(world.alice, world.sales)
    bind(world.bob, "SkillUser", world.sales)
    attach(world.bob, agent, skill)
    api_of(world.bob).delete(f"/agents/{agent.id}/skills/{skill.id}")
    return agent


def test_restoring_takes_the_use_of_every_skill_that_comes_back(world: World) -> None:
    agent = with_borrowed_skill(world)
    make_role(world.acme, "NoUse", "skill:use")
    bind(world.bob, "NoUse", world.sales, decision="deny")
    refused = restore(world, agent, 2)
    assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, "skill:use")
    assert not AgentSkill.objects.filter(agent=agent).exists()


def test_restoring_takes_the_use_of_the_agents_principal_too(world: World) -> None:
    agent = with_borrowed_skill(world)
    ada = make_user("ada@acme.example", home=world.sales)
    bind(ada, "OUAdmin", world.root)
    bind(world.bob, "SkillUser", world.sales, decision="deny")
    refused = api_of(ada).post(f"/agents/{agent.id}/versions/2/restore")
    assert refused.status_code == 403
    assert "agent's principal" in refused.json()["error"]["message"]


def test_a_skill_gone_or_unseen_stops_a_restore_alike(world: World) -> None:
    agent = with_borrowed_skill(world)
    bind(world.bob, "SkillUser", world.sales, decision="deny")
    unseen = restore(world, agent, 2)
    api_of(world.alice).delete(f"/skills/{AgentVersion.objects.get(number=2).spec['skills'][0]['skill_id']}")
    gone = restore(world, agent, 2)
    assert unseen.status_code == gone.status_code == 409
    assert unseen.json()["error"]["message"] == gone.json()["error"]["message"]
