"""Two at once on one agent or skill: one wins, the other is told, and nothing is lost between them."""

from typing import Any
from uuid import UUID

import pytest

from agents.commands import AttachSkill, CreateAgent, UpdateAgent, UploadSkillVersion
from agents.models import Agent, AgentVersion, SkillVersion
from agents.spec import AgentChanges, PrebuiltSkill
from agents.uploads import stage
from powerloom.commands.bus import submit
from powerloom.kernel.errors import NameTaken, Stale
from powerloom.kernel.ids import new_id
from tests.archives import GOOD, zipped
from tests.database import Race
from tests.declared import done, make_agent, make_skill
from tests.world import World, actor_of


@pytest.fixture
def world(committed_world: World) -> World:
    return committed_world


def test_one_of_two_gets_the_name(world: World, race: Race) -> None:
    actor = actor_of(world.bob)

    def create() -> Any:
        said = {"name": "a", "display_name": "A", "model": "m", "system_prompt": "p", "ou_id": world.engineering.id}
        return submit(CreateAgent.model_validate({"id": new_id(), **said}), actor=actor)

    outcomes = race(create, create)
    assert sorted(isinstance(outcome, NameTaken) for outcome in outcomes) == [False, True]
    assert Agent.objects.count() == AgentVersion.objects.count() == 1


def test_two_changes_make_two_versions(world: World, race: Race) -> None:
    agent, actor = make_agent(world.bob, world.engineering), actor_of(world.bob)

    def change(**fields: Any) -> Any:
        return submit(UpdateAgent(agent_id=agent.id, changes=AgentChanges.model_validate(fields)), actor=actor)

    race(lambda: change(model="m2"), lambda: change(description="new"))
    newest = AgentVersion.objects.get(number=3)
    assert (newest.spec["model"], newest.spec["description"]) == ("m2", "new")


def test_of_two_that_saw_the_same_generation_one_is_stale(world: World, race: Race) -> None:
    agent, actor = make_agent(world.bob, world.engineering), actor_of(world.bob)

    def change(model: str) -> Any:
        changes = AgentChanges.model_validate({"model": model})
        return submit(UpdateAgent(agent_id=agent.id, changes=changes, generation=1), actor=actor)

    outcomes = race(lambda: change("m2"), lambda: change("m3"))
    assert sorted(isinstance(outcome, Stale) for outcome in outcomes) == [False, True]
    assert AgentVersion.objects.count() == 2


def test_two_attachments_are_both_in_the_newest_version(world: World, race: Race) -> None:
    agent, actor = make_agent(world.bob, world.engineering), actor_of(world.bob)

    def attach(name: str) -> Any:
        return submit(
            AttachSkill(agent_id=agent.id, skill=PrebuiltSkill.model_validate({"prebuilt": name})), actor=actor
        )

    race(lambda: attach("pdf"), lambda: attach("docx"))
    skills = AgentVersion.objects.get(number=3).spec["skills"]
    assert sorted(skill["prebuilt"] for skill in skills) == ["docx", "pdf"]


def test_equal_content_uploaded_twice_at_once_is_one_version(world: World, race: Race) -> None:
    skill, actor = make_skill(world.bob, world.engineering), actor_of(world.bob)
    staged = [stage(zipped(GOOD), actor=actor) for _ in range(2)]

    def upload(upload_id: UUID) -> Any:
        return done(UploadSkillVersion(skill_id=skill.id, id=new_id(), upload_id=upload_id), world.bob)

    first, second = race(lambda: upload(staged[0]), lambda: upload(staged[1]))
    assert first.id == second.id
    assert SkillVersion.objects.count() == 1
