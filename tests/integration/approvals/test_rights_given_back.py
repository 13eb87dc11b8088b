"""A right that gives an agent back what was withheld from it is a change of that agent."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import OU, Binding, Group, Role
from agents import withholding
from agents.models import Agent, Skill
from approvals.models import ApprovalRequest
from tests.declared import attach, make_agent, make_skill, make_version
from tests.held import builtin, make_policy
from tests.standing import standing
from tests.world import Api, World, api_of, bind, make_group, make_role

pytestmark = pytest.mark.once

RIGHTS: dict[str, Callable[[Api, World], Any]] = {
    "a binding": lambda api, world: api.post("/role-bindings", _allow(world.bob, world.sales)),
    "a binding of a group": lambda api, world: api.post("/role-bindings", _allow(_leads(world), world.sales)),
    "a place in a group": lambda api, world: api.post(
        f"/groups/{_bound_leads(world).id}/users", {"user_id": str(world.bob.id)}
    ),
    "a role that has it now": lambda api, world: api.patch(
        f"/roles/{_bound_role(world).id}", {"actions": ["skill:use", "skill:read"]}
    ),
    "a grant of the skill": lambda api, world: api.post(
        f"/skills/{Skill.objects.get().id}/grants", {"principal_id": str(world.bob.id)}
    ),
    "the end of a deny": lambda api, world: api.delete(f"/role-bindings/{_denied(world).id}"),
}


def _allow(principal: Any, scope: OU) -> dict[str, str]:
    role = str(builtin("SkillUser"))
    return {"principal_id": str(principal.id), "role_id": role, "scope_ou_id": str(scope.id), "decision_type": "allow"}


def _leads(world: World) -> Group:
    return make_group(world.root, "leads", world.bob)


def _bound_leads(world: World) -> Group:
    leads = make_group(world.root, "leads")
    bind(leads, "SkillUser", world.sales)
    return leads


def _bound_role(world: World) -> Role:
    role = make_role(world.acme, "Readers", "skill:read")
    bind(world.bob, "Readers", world.sales)
    return role


def _denied(world: World) -> Binding:
    bind(world.bob, "SkillUser", world.sales)
    return bind(world.bob, "SkillUser", world.sales, decision="deny")


@standing
def agent(world: World) -> Agent:
    """Bob's, guarded, with a skill that he may not use any more."""
    skill = make_skill(world.alice, world.sales)
    make_version(world.alice, skill)
    right = bind(world.bob, "SkillUser", world.sales)
    made = make_agent(world.bob, world.engineering, "guarded")
    attach(world.bob, made, skill)
    right.delete()
    withholding.judge(world.acme.id)
    make_policy(world.alice, world.engineering, "agent:update")
    return made


@pytest.mark.parametrize("route", RIGHTS)
def test_a_right_that_gives_an_agent_back_what_was_withheld_is_held_where_it_lives(
    world: World, agent: Agent, route: str
) -> None:
    answer = RIGHTS[route](api_of(world.alice), world)
    assert (answer.status_code, answer.json().get("policies")) == (202, ["gate"]), answer.content
    effects = ApprovalRequest.objects.get().effects
    assert ("agent:update", str(agent.id)) in {(one["action"], one["id"]) for one in effects}
    bind(world.bob, "SkillUser", world.root)  # by another's change, which nobody has looked at yet
    assert api_of(world.alice).post("/role-bindings", _allow(world.eve, world.sales)).status_code == 201
