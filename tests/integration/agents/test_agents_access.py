"""Who may do what with agents, over every route; out of sight is like not there; and what lists cost."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from agents.commands import GrantSkill
from powerloom.kernel.ids import new_id
from tests.declared import attach, done, make_agent, make_skill, make_version
from tests.refusals import said
from tests.world import Api, World, api_of, bind, make_ou, make_token, make_user

BODY = {"name": "a", "display_name": "A", "model": "m", "system_prompt": "p"}


def on_one_agent(agent_id: object) -> list[Callable[[Api], Any]]:
    path = f"/agents/{agent_id}"
    return [
        lambda api: api.get(path),
        lambda api: api.patch(path, {"model": "claude-opus-4-1"}),
        lambda api: api.delete(path),
        lambda api: api.get(f"{path}/skills"),
        lambda api: api.post(f"{path}/skills", {"skill_id": "pdf"}),
        lambda api: api.delete(f"{path}/skills/pdf"),
        lambda api: api.get(f"{path}/versions"),
        lambda api: api.get(f"{path}/versions/1"),
        lambda api: api.get(f"{path}/versions/1/diff/1"),
        lambda api: api.post(f"{path}/versions/1/restore"),
        lambda api: api.get(f"{path}/sync-status"),
        lambda api: api.post(f"{path}/sync/reset"),
    ]


WRITES = [1, 2, 4, 5, 9, 11]  # of on_one_agent


@pytest.mark.parametrize("route", range(12))
def test_absent_foreign_and_unseen_answer_alike(world: World, route: int) -> None:
    foreign = make_agent(world.mallory, world.zeta.ous.get())
    unseen = make_agent(world.alice, world.sales)
    answers = [said(on_one_agent(id_)[route](api_of(world.bob))) for id_ in (uuid4(), foreign.id, unseen.id)]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 404


@pytest.mark.parametrize("route", WRITES)
def test_who_may_only_look_is_told_which_right_is_missing(world: World, route: int) -> None:
    agent = make_agent(world.bob, world.engineering)
    api_of(world.bob).post(f"/agents/{agent.id}/skills", {"skill_id": "pdf"})
    status, error = said(on_one_agent(agent.id)[route](api_of(world.eve)))
    assert (status, error["code"]) == (403, "permission_denied")
    assert error["detail"]["permission"].startswith("agent:")
    assert error["detail"]["ou_path"] == "/acme/engineering"


@pytest.mark.parametrize("route", range(12))
def test_nobody_without_a_token_gets_anything(world: World, route: int) -> None:
    agent = make_agent(world.bob, world.engineering)
    assert on_one_agent(agent.id)[route](Api()).status_code == 401


def test_creating_takes_the_right_in_that_ou(world: World) -> None:
    response = api_of(world.bob).post("/agents", {**BODY, "ou_id": str(world.sales.id)})
    assert (response.status_code, response.json()["error"]["detail"]["permission"]) == (403, "agent:create")


def test_another_tenants_ou_does_not_exist(world: World) -> None:
    foreign = api_of(world.bob).post("/agents", {**BODY, "ou_id": str(world.zeta.ous.get().id)})
    absent = api_of(world.bob).post("/agents", {**BODY, "ou_id": str(uuid4())})
    assert said(foreign) == said(absent)


def test_a_deny_on_the_path_hides_an_agent(world: World) -> None:
    agent = make_agent(world.alice, world.platform)
    assert api_of(world.eve).get(f"/agents/{agent.id}").status_code == 200
    bind(world.eve, "AgentViewer", world.engineering, decision="deny")
    assert api_of(world.eve).get(f"/agents/{agent.id}").status_code == 404
    assert api_of(world.eve).get("/agents").json() == []


def test_a_narrow_token_reaches_no_further(world: World) -> None:
    agent = make_agent(world.alice, world.engineering)
    reader = Api(make_token(world.alice, actions=["agent:read"]))
    assert reader.get(f"/agents/{agent.id}").status_code == 200
    assert reader.patch(f"/agents/{agent.id}", {"model": "m"}).status_code == 403
    assert reader.get(f"/agents/{agent.id}").json()["can"]["agent:update"] is False
    elsewhere = Api(make_token(world.alice, ou=world.sales))
    assert elsewhere.get(f"/agents/{agent.id}").status_code == 404


def test_what_the_caller_can_do_is_said(world: World) -> None:
    agent = make_agent(world.bob, world.engineering)
    assert set(api_of(world.bob).get(f"/agents/{agent.id}").json()["can"].values()) == {True}
    assert set(api_of(world.eve).get(f"/agents/{agent.id}").json()["can"].values()) == {False}


# --- Cost


def make_many(world: World, count: int) -> None:
    skill = make_skill(world.bob, world.engineering, f"skill-{count}")
    for number in range(count):
        attach(world.bob, make_agent(world.bob, world.engineering, f"agent-{count}-{number}"), skill)


def cost_of(user: User, path: str) -> int:
    api = api_of(user)
    with CaptureQueriesContext(connection) as captured:
        assert api.get(path).json()
    return len(captured)


def test_a_list_costs_the_same_for_any_number_of_rows(world: World) -> None:
    costs = []
    for count in (3, 12):
        make_many(world, count)
        costs.append(cost_of(world.bob, "/agents"))
    assert costs[0] == costs[1] <= 8


def test_a_list_costs_the_same_at_any_depth(world: World) -> None:
    deep = world.platform
    for level in range(8):
        deep = make_ou(deep, f"level-{level}")
    make_agent(world.alice, world.root)
    ada = make_user("ada@acme.example", home=deep)
    bind(ada, "AgentOwner", deep)
    make_agent(ada, deep)
    assert cost_of(world.alice, "/agents") == cost_of(ada, "/agents")


def test_lists_below_an_agent_and_a_skill_cost_the_same_for_any_number_of_rows(world: World) -> None:
    agent, skill = make_agent(world.bob, world.engineering), make_skill(world.bob, world.engineering)
    paths = [f"/agents/{agent.id}/{part}" for part in ("versions", "skills")]
    paths += [f"/skills/{skill.id}/{part}" for part in ("versions", "grants")]
    costs = []
    for count in (2, 5):
        for number in range(count):
            attach(world.bob, agent, make_skill(world.bob, world.engineering, f"skill-{count}-{number}"))
            make_version(world.bob, skill, extra=f"{count}-{number}", activate=False)
            ou = make_ou(world.sales, f"ou-{count}-{number}")
            done(GrantSkill(id=new_id(), skill_id=skill.id, principal_id=ou.id), world.bob)
        costs.append([cost_of(world.bob, path) for path in paths])
    assert costs[0] == costs[1]
