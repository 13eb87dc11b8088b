"""A skill that an agent may no longer use leaves the runtime by itself, and comes back with the right."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import AccessEpoch, Binding
from accounts.roles import builtin_id
from agents import access_watch, withholding
from agents.commands import ArchiveAgent, AttachSkill, DetachSkill
from agents.kinds import SyncKind
from agents.models import AccessWatch, Agent, AgentKind, AgentSkill, Skill, SkillType, WithheldSkill
from agents.spec import AttachedSkill
from powerloom.reconcile import engine
from powerloom.reconcile.models import SyncState, Urgency
from tests.converging import Runtime, runtime
from tests.declared import attach, done, is_stale, make_agent, make_live, make_skill, make_version
from tests.standing import standing
from tests.world import World, api_of, bind, make_organization

SCHEMA = {"name": "look_up", "input_schema": {"type": "object"}}


@standing
def skill(world: World) -> Skill:
    """A skill that Bob may use by a binding of his own, beside his OUAdmin."""
    skill = make_skill(world.alice, world.sales)
    make_version(world.alice, skill)
    return skill


@standing
def right(world: World) -> Binding:
    """What lets Bob, who owns the agent, use what is in sales."""
    return bind(world.bob, "SkillUser", world.sales)


@standing
def agent(world: World, skill: Skill, right: Binding) -> Agent:
    """Bob's agent with the skill, on the runtime as wanted, and nothing unjudged."""
    agent = make_agent(world.bob, world.engineering)
    attach(world.bob, agent, skill)
    withholding.follow_access()
    make_live(agent.id)
    return agent


@pytest.fixture
def cma(tmp_path: Path, settings: Any) -> Iterator[Runtime]:
    with runtime(tmp_path / "runtime", settings) as running:
        yield running


def revoke(world: World, right: Binding) -> None:
    assert api_of(world.alice).delete(f"/role-bindings/{right.id}").status_code in {200, 204}


def grant(world: World, *, decision: str = "allow") -> None:
    scope, role = world.sales, builtin_id("SkillUser")
    body = {"principal_id": world.bob.id, "role_id": role, "scope_ou_id": scope.id, "decision_type": decision}
    assert api_of(world.alice).post("/role-bindings", body).status_code == 201


def withheld() -> set[tuple[object, object]]:
    return set(WithheldSkill.objects.values_list("agent_id", "skill_id"))


def on_runtime(cma: Runtime) -> list[str]:
    """Converge, and return what CMA's one agent has: ids of custom skills, names of custom tools."""
    engine.tick()
    [live] = cma.agents()
    tools = [tool["name"] for tool in live["tools"] if tool["type"] == "custom"]
    return [skill["skill_id"] for skill in live["skills"]] + tools


# --- On the runtime


def test_the_runtime_loses_the_skill_with_the_right_and_has_it_again(
    world: World, agent: Agent, skill: Skill, right: Binding, cma: Runtime
) -> None:
    SyncState.objects.update(desired_hash="", actual_hash="", remote_id="", remote_version="")
    there = on_runtime(cma)
    assert there == [SyncState.objects.get(object_id=skill.id).remote_id]
    revoke(world, right)
    withholding.follow_access()
    assert on_runtime(cma) == []
    assert AgentSkill.objects.filter(agent=agent, skill=skill).exists()
    grant(world)
    withholding.follow_access()
    assert on_runtime(cma) == there


def test_a_tool_made_from_a_skill_is_withheld_too(world: World, right: Binding, cma: Runtime) -> None:
    tool = make_skill(world.alice, world.sales, "look-up", skill_type=SkillType.TOOL_DEFINITION, tool_schema=SCHEMA)
    attach(world.bob, make_agent(world.bob, world.engineering), tool)
    assert on_runtime(cma) == ["look_up"]
    revoke(world, right)
    withholding.follow_access()
    assert on_runtime(cma) == []


# --- Whose right


def test_a_loss_goes_before_everybodys_additions(world: World, agent: Agent, skill: Skill, right: Binding) -> None:
    revoke(world, right)
    withholding.follow_access()
    assert withheld() == {(agent.id, skill.id)}
    assert is_stale(SyncKind.AGENT, agent.id)
    assert SyncState.objects.get(object_id=agent.id).urgency == Urgency.REVOKE


def test_a_disabled_owner_lends_nothing_until_enabled_again(world: World, agent: Agent, skill: Skill) -> None:
    for is_active, expected in ((False, {(agent.id, skill.id)}), (True, set())):
        assert api_of(world.alice).patch(f"/users/{world.bob.id}", {"is_active": is_active}).status_code == 200
        make_live(agent.id)
        withholding.follow_access()
        assert withheld() == expected
        assert is_stale(SyncKind.AGENT, agent.id)


def test_a_deny_takes_the_skill_away(world: World, agent: Agent, skill: Skill) -> None:
    grant(world, decision="deny")
    withholding.follow_access()
    assert withheld() == {(agent.id, skill.id)}


def test_a_binding_that_expires_is_noticed_without_a_write(
    world: World, agent: Agent, skill: Skill, right: Binding
) -> None:
    Binding.objects.filter(pk=right.pk).update(expires_at=timezone.now())
    AccessWatch.objects.update(checked_at=timezone.now() - timedelta(seconds=2))
    withholding.follow_access()
    assert withheld() == {(agent.id, skill.id)}
    assert access_watch.behind(withholding.WATCH) == []


def test_a_service_agent_is_judged_by_its_own_bindings(world: World, skill: Skill, right: Binding) -> None:
    service = make_agent(world.bob, world.engineering, "nightly", agent_kind=AgentKind.SERVICE)
    own = bind(service.id, "SkillUser", world.sales)
    attach(world.bob, service, skill)
    revoke(world, right)
    withholding.follow_access()
    assert withheld() == set()
    revoke(world, own)
    withholding.follow_access()
    assert withheld() == {(service.id, skill.id)}


def test_a_grant_of_the_one_skill_keeps_it(world: World, agent: Agent, skill: Skill, right: Binding) -> None:
    bind(world.bob, "SkillUser", world.sales, resource_id=skill.id)
    revoke(world, right)
    withholding.follow_access()
    assert withheld() == set()


# --- What follows, and what does not


def test_an_agent_whose_skills_stay_is_left_alone(world: World, agent: Agent, skill: Skill, right: Binding) -> None:
    other = make_agent(world.alice, world.engineering, "other")
    attach(world.alice, other, skill)
    make_live(other.id)
    revoke(world, right)
    withholding.follow_access()
    assert is_stale(SyncKind.AGENT, agent.id)
    assert not is_stale(SyncKind.AGENT, other.id)


def test_a_right_lost_and_found_between_two_looks_moves_nothing(world: World, agent: Agent, right: Binding) -> None:
    revoke(world, right)
    grant(world)
    withholding.follow_access()
    assert withheld() == set()
    assert not is_stale(SyncKind.AGENT, agent.id)


def test_the_agents_page_says_which_skill_is_withheld_and_why(
    world: World, agent: Agent, skill: Skill, right: Binding
) -> None:
    assert api_of(world.alice).get(f"/agents/{agent.id}").json()["withheld_skills"] == []
    revoke(world, right)
    withholding.follow_access()
    told = api_of(world.alice).get(f"/agents/{agent.id}").json()
    why = "user:bob@acme.example may no longer use the skill python-lint"
    assert told["withheld_skills"] == [{"skill_id": str(skill.id), "why": why}]
    assert [one["skill_id"] for one in told["skills"]] == [str(skill.id)]


def test_what_is_detached_or_archived_meanwhile_is_not_withheld(
    world: World, agent: Agent, skill: Skill, right: Binding
) -> None:
    gone = make_agent(world.bob, world.engineering, "gone")
    done(AttachSkill(agent_id=gone.id, skill=AttachedSkill(skill_id=skill.id)), world.bob)
    revoke(world, right)
    done(DetachSkill(agent_id=agent.id, skill=skill.id), world.bob)
    done(ArchiveAgent(agent_id=gone.id), world.bob)
    withholding.follow_access()
    assert withheld() == set()


# --- Cost and death


@pytest.mark.parametrize("organizations", [0, 20])
def test_an_idle_look_is_one_query(world: World, agent: Agent, organizations: int) -> None:
    for number in range(organizations):
        make_organization(f"org-{number}")
    withholding.follow_access()
    with CaptureQueriesContext(connection) as captured:
        assert withholding.follow_access() == 0
    assert len(captured) == 1


def test_judging_costs_the_same_for_any_number_of_agents(
    world: World, agent: Agent, skill: Skill, right: Binding
) -> None:
    for number in range(10):
        attach(world.bob, make_agent(world.bob, world.engineering, f"agent-{number}"), skill)
    revoke(world, right)
    with CaptureQueriesContext(connection) as captured:
        withholding.judge(world.acme.id)
    assert len(withheld()) == 11
    assert len(captured) < 15


def test_a_worker_that_dies_while_judging_forgets_nothing(
    world: World, agent: Agent, skill: Skill, right: Binding
) -> None:
    revoke(world, right)

    def dies(organization_id: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        access_watch.follow(withholding.WATCH, dies)
    assert access_watch.behind(withholding.WATCH) == [world.acme.id]
    withholding.follow_access()
    assert withheld() == {(agent.id, skill.id)}


def test_a_watch_that_never_looked_is_behind(world: World) -> None:
    withholding.follow_access()
    assert access_watch.behind("another") == sorted(AccessEpoch.objects.values_list("pk", flat=True))
