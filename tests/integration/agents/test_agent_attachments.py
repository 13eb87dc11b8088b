"""Skills attached to agents: idempotent, by the skill's id, under the rights of who attaches and of who will use it."""

from typing import Any
from uuid import uuid4

import pytest
from pydantic import TypeAdapter

from accounts.models import User
from agents.api.shapes import AttachmentOut
from agents.kinds import SyncKind
from agents.models import Agent, AgentVersion, Skill
from agents.queries import spec_of
from tests.declared import attach, is_stale, make_agent, make_live, make_skill, make_version
from tests.standing import standing
from tests.world import World, api_of, bind, make_group, make_role, make_user

ABSENT = "01920000-0000-7000-8000-000000000000"
TOOL = {"name": "look_up", "description": "Looks it up.", "input_schema": {"type": "object", "properties": {}}}


def post(by: User, agent: Agent, skill: object, **fields: Any) -> Any:
    return api_of(by).post(f"/agents/{agent.id}/skills", {"skill_id": str(skill), **fields})


def attached(by: User, agent: Agent) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = api_of(by).get(f"/agents/{agent.id}/skills").json()
    TypeAdapter(list[AttachmentOut]).validate_python(rows)
    return rows


@standing
def agent(world: World) -> Agent:
    return make_agent(world.bob, world.engineering)


@standing
def skill(world: World) -> Skill:
    return make_skill(world.bob, world.engineering)


# --- Attach


def test_attaching_makes_a_new_version_and_wakes_the_reconciler(world: World, agent: Agent, skill: Skill) -> None:
    make_live(agent.id)
    response = post(world.bob, agent, skill.id, skill_version_id=None)
    assert response.status_code == 201
    assert response.json() == {"skill_id": str(skill.id), "skill_version_id": None}
    assert attached(world.eve, agent) == [response.json()]
    assert AgentVersion.objects.get(agent=agent, number=2).spec["skills"] == [response.json()]
    assert is_stale(SyncKind.AGENT, agent.id)


def test_attaching_again_changes_nothing(world: World, agent: Agent, skill: Skill) -> None:
    post(world.bob, agent, skill.id)
    make_live(agent.id)
    assert post(world.bob, agent, skill.id).status_code == 201
    assert len(attached(world.bob, agent)) == 1
    assert not is_stale(SyncKind.AGENT, agent.id)


def test_attaching_again_moves_the_pin(world: World, agent: Agent, skill: Skill) -> None:
    version = make_version(world.bob, skill)
    for pin in (None, str(version.id), None):
        assert post(world.bob, agent, skill.id, skill_version_id=pin).json()["skill_version_id"] == pin
    specs = [one.spec for one in AgentVersion.objects.filter(number__gt=1).order_by("number")]
    assert [spec["skills"][0]["skill_version_id"] for spec in specs] == [None, str(version.id), None]


def test_a_skill_may_be_attached_before_it_has_a_version(world: World, agent: Agent, skill: Skill) -> None:
    assert skill.current_version_id is None
    assert post(world.bob, agent, skill.id).status_code == 201


def test_a_version_of_another_skill_is_not_found(world: World, agent: Agent, skill: Skill) -> None:
    other = make_version(world.bob, make_skill(world.bob, world.engineering, "other"))
    assert post(world.bob, agent, skill.id, skill_version_id=str(other.id)).status_code == 404
    assert attached(world.bob, agent) == []


def test_absent_foreign_unseen_and_archived_skills_answer_alike(world: World, agent: Agent) -> None:
    foreign = make_skill(world.mallory, world.zeta.ous.get())
    unseen = make_skill(world.alice, world.sales)
    archived = make_skill(world.bob, world.engineering, "gone")
    api_of(world.bob).delete(f"/skills/{archived.id}")
    answers = [post(world.bob, agent, id_) for id_ in (uuid4(), foreign.id, unseen.id, archived.id)]
    assert {(one.status_code, one.json()["error"]["message"]) for one in answers} == {(404, "Not found.")}


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "skill_id"),
        ({"skill_id": "exe"}, "skill_id"),
        ({"skill_id": "skill_01abc"}, "skill_id"),
        ({"skill_id": None}, "skill_id"),
        ({"skill_id": "pdf", "version": 1}, "version"),
        ({"skill_id": "pdf", "skill_version_id": ABSENT}, "skill_version_id"),
        ({"skill_id": "pdf", "skill_version_id": "latest"}, "skill_version_id"),
    ],
)
def test_wrong_input_is_refused(world: World, agent: Agent, sent: dict[str, Any], field: str) -> None:
    response = api_of(world.bob).post(f"/agents/{agent.id}/skills", sent)
    assert response.status_code == 422
    assert response.json()["error"]["detail"]["field"].split(".")[0] == field


@pytest.mark.parametrize("name", ["pptx", "xlsx", "docx", "pdf"])
def test_anthropics_skills_go_by_their_short_names(world: World, agent: Agent, name: str) -> None:
    assert post(world.bob, agent, name).status_code == 201
    assert post(world.bob, agent, name).status_code == 201
    assert attached(world.bob, agent) == [{"skill_id": name, "skill_version_id": None}]
    assert spec_of(Agent.objects.get()).as_json()["skills"] == [{"prebuilt": name}]
    assert api_of(world.bob).delete(f"/agents/{agent.id}/skills/{name}").status_code == 204
    assert attached(world.bob, agent) == []


def test_the_twenty_first_skill_is_refused_at_the_write(world: World, agent: Agent) -> None:
    for number in range(20):
        attach(world.bob, agent, make_skill(world.bob, world.engineering, f"skill-{number}"))
    refused = post(world.bob, agent, "pdf")
    assert (refused.status_code, refused.json()["error"]["detail"]["field"]) == (422, "skills")
    assert len(attached(world.bob, agent)) == 20
    assert Agent.objects.get().version == 21


# --- Detach


def test_detaching_names_the_skill(world: World, agent: Agent, skill: Skill) -> None:
    post(world.bob, agent, skill.id)
    make_live(agent.id)
    assert api_of(world.bob).delete(f"/agents/{agent.id}/skills/{skill.id}").status_code == 204
    assert attached(world.bob, agent) == []
    assert spec_of(Agent.objects.get()).skills == []
    assert is_stale(SyncKind.AGENT, agent.id)


@pytest.mark.parametrize("name", ["pdf", "nonsense", ABSENT])
def test_what_is_not_attached_cannot_be_detached(world: World, agent: Agent, name: str) -> None:
    assert api_of(world.bob).delete(f"/agents/{agent.id}/skills/{name}").status_code == 404


def test_detaching_takes_no_right_on_the_skill(world: World, agent: Agent, skill: Skill) -> None:
    post(world.bob, agent, skill.id)
    make_role(world.acme, "Blind", "skill:read", "skill:use")
    bind(world.bob, "Blind", world.engineering, decision="deny")
    assert api_of(world.bob).delete(f"/agents/{agent.id}/skills/{skill.id}").status_code == 204


# --- Whose rights are lent


def test_it_takes_the_use_of_the_skill_by_whoever_attaches_it(world: World) -> None:
    ada = make_user("ada@acme.example", home=world.platform)
    bind(ada, "AgentOwner", world.platform)
    bind(ada, "AgentViewer", world.engineering)
    agent, skill = make_agent(ada, world.platform), make_skill(world.bob, world.engineering)
    refused = post(ada, agent, skill.id)
    assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, "skill:use")
    assert refused.json()["error"]["message"].startswith("insufficient permissions. You need skill:use")


def test_it_takes_the_use_of_the_skill_by_the_agents_owner(world: World) -> None:
    agent = make_agent(world.alice, world.engineering, owner_principal_id=world.vera.id)
    skill = make_skill(world.bob, world.engineering)
    refused = post(world.alice, agent, skill.id)
    assert refused.status_code == 403
    assert "agent's principal needs skill:use" in refused.json()["error"]["message"]
    bind(world.vera, "SkillUser", world.engineering, resource_id=skill.id)
    assert post(world.alice, agent, skill.id).status_code == 201


def test_a_service_agent_needs_a_binding_of_its_own(world: World, skill: Skill) -> None:
    agent = make_agent(world.bob, world.engineering, "service", agent_kind="service")
    assert post(world.bob, agent, skill.id).status_code == 403
    bind(agent.id, "SkillUser", world.engineering)
    assert post(world.bob, agent, skill.id).status_code == 201


def test_a_group_that_owns_an_agent_lends_only_what_names_the_group(world: World) -> None:
    group = make_group(world.engineering, "leads", world.alice)
    agent = make_agent(world.alice, world.engineering, owner_principal_id=group.id)
    skill = make_skill(world.bob, world.engineering)
    assert post(world.alice, agent, skill.id).status_code == 403
    bind(group, "SkillUser", world.engineering)
    assert post(world.alice, agent, skill.id).status_code == 201


# --- Tools


def tool_skill(world: World, called: str = "look-up", **schema: Any) -> Skill:
    tool: Any = {**TOOL, **schema}
    return make_skill(world.bob, world.engineering, called, skill_type="tool_definition", tool_schema=tool)


def test_a_tool_definition_becomes_a_custom_tool(world: World, agent: Agent) -> None:
    tool = tool_skill(world)
    assert post(world.bob, agent, tool.id).status_code == 201
    spec = spec_of(Agent.objects.get())
    assert [one.model_dump(mode="json") for one in spec.custom_tools] == [{"skill_id": str(tool.id), **TOOL}]
    assert spec.skills == []
    assert attached(world.bob, agent) == [{"skill_id": str(tool.id), "skill_version_id": None}]


def test_a_tool_comes_back_with_a_restored_version(world: World, agent: Agent) -> None:
    tool = tool_skill(world)
    post(world.bob, agent, tool.id)
    api_of(world.bob).delete(f"/agents/{agent.id}/skills/{tool.id}")
    assert api_of(world.bob).post(f"/agents/{agent.id}/versions/2/restore").status_code == 200
    assert attached(world.bob, agent) == [{"skill_id": str(tool.id), "skill_version_id": None}]


@pytest.mark.parametrize(
    "schema",
    [{"name": "bash"}, {"name": "no spaces"}, {"input_schema": {"type": "array"}}, {"input_schema": None}, {"name": 5}],
)
def test_a_schema_that_can_be_no_tool_is_refused_in_words(world: World, agent: Agent, schema: dict[str, Any]) -> None:
    refused = post(world.bob, agent, tool_skill(world, **schema).id)
    assert (refused.status_code, refused.json()["error"]["detail"]["field"]) == (422, "tool_schema")
    assert "look-up" in refused.json()["error"]["message"]
    assert Agent.objects.get().version == 1


def test_two_tools_of_one_name_are_refused(world: World, agent: Agent) -> None:
    post(world.bob, agent, tool_skill(world).id)
    refused = post(world.bob, agent, tool_skill(world, "look-up-too").id)
    assert refused.status_code == 422
    assert "same name" in refused.json()["error"]["message"]
