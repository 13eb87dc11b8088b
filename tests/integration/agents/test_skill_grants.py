"""Grants of one skill: an allow in the one law, for that skill alone, by who holds what is granted."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from pydantic import TypeAdapter

from accounts import epoch
from accounts.models import Binding, User
from agents.api.shapes import GrantOut
from agents.models import Skill
from tests.declared import make_agent, make_skill
from tests.standing import standing
from tests.world import World, api_of, bind, make_group, make_role, make_user


@standing
def nora(world: World) -> User:
    """Somebody at home in another OU, without any role."""
    return make_user("nora@acme.example", home=world.sales)


@standing
def skill(world: World) -> Skill:
    return make_skill(world.bob, world.engineering)


def grant(world: World, skill: Skill, principal: object) -> Any:
    return api_of(world.bob).post(f"/skills/{skill.id}/grants", {"principal_id": str(principal)})


def test_a_grant_reaches_that_skill_alone(world: World, skill: Skill, nora: User) -> None:
    make_skill(world.bob, world.engineering, "other")
    assert api_of(nora).get("/skills").json() == []
    made = grant(world, skill, nora.id)
    assert made.status_code == 201
    TypeAdapter(list[GrantOut]).validate_python(api_of(world.bob).get(f"/skills/{skill.id}/grants").json())
    assert [row["name"] for row in api_of(nora).get("/skills").json()] == ["python-lint"]
    agent = make_agent(world.alice, world.engineering, owner_principal_id=nora.id)
    assert api_of(world.alice).post(f"/agents/{agent.id}/skills", {"skill_id": str(skill.id)}).status_code == 201
    assert api_of(nora).patch(f"/skills/{skill.id}", {"description": "x"}).status_code == 403


def test_a_grant_to_a_group_reaches_its_members(world: World, skill: Skill, nora: User) -> None:
    group = make_group(world.sales, "sellers", nora)
    assert grant(world, skill, group.id).json()["principal_ref"] == "group:/acme/sales/sellers"
    assert api_of(nora).get(f"/skills/{skill.id}").status_code == 200


def test_granting_again_is_the_grant_it_is(world: World, skill: Skill, nora: User) -> None:
    first, again = grant(world, skill, nora.id), grant(world, skill, nora.id)
    assert (again.status_code, again.json()["id"]) == (201, first.json()["id"])
    assert Binding.objects.filter(resource_id=skill.id).count() == 1


def test_a_grant_ends(world: World, skill: Skill, nora: User) -> None:
    made = grant(world, skill, nora.id).json()
    path = f"/skills/{skill.id}/grants/{made['id']}"
    assert api_of(world.bob).delete(path).status_code == 204
    assert api_of(nora).get(f"/skills/{skill.id}").status_code == 404
    assert api_of(world.bob).get(f"/skills/{skill.id}/grants").json() == []
    assert api_of(world.bob).delete(path).status_code == 404
    assert grant(world, skill, nora.id).json()["id"] != made["id"]


def test_a_grant_of_another_skill_is_not_found_here(world: World, skill: Skill, nora: User) -> None:
    other = make_skill(world.bob, world.engineering, "other")
    made = grant(world, other, nora.id).json()
    assert api_of(world.bob).delete(f"/skills/{skill.id}/grants/{made['id']}").status_code == 404


def test_granting_and_revoking_change_the_access_epoch(world: World, skill: Skill, nora: User) -> None:
    before = epoch.current(world.acme.id)
    made = grant(world, skill, nora.id).json()
    between = epoch.current(world.acme.id)
    api_of(world.bob).delete(f"/skills/{skill.id}/grants/{made['id']}")
    assert before < between < epoch.current(world.acme.id)


def test_nobody_grants_what_he_does_not_hold(world: World, skill: Skill) -> None:
    ada = make_user("ada@acme.example", home=world.sales)
    make_role(world.acme, "Granter", "skill:read", "skill:grant")
    bind(ada, "Granter", world.engineering)
    refused = api_of(ada).post(f"/skills/{skill.id}/grants", {"principal_id": str(ada.id)})
    assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, "skill:use")
    assert not Binding.objects.filter(resource_id=skill.id).exists()


def test_what_one_holds_for_a_while_is_not_granted_for_ever(world: World, skill: Skill, nora: User) -> None:
    bind(nora, "SkillOwner", world.engineering, expires_at=timezone.now() + timedelta(hours=1))
    refused = api_of(nora).post(f"/skills/{skill.id}/grants", {"principal_id": str(nora.id)})
    assert refused.status_code == 403
    bind(nora, "SkillOwner", world.root)
    assert api_of(nora).post(f"/skills/{skill.id}/grants", {"principal_id": str(nora.id)}).status_code == 201


def test_granting_takes_the_right_to_grant(world: World, skill: Skill) -> None:
    bind(world.eve, "SkillUser", world.engineering)
    refused = api_of(world.eve).post(f"/skills/{skill.id}/grants", {"principal_id": str(world.eve.id)})
    assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, "skill:grant")


def test_a_principal_from_elsewhere_does_not_exist(world: World, skill: Skill) -> None:
    assert grant(world, skill, world.mallory.id).status_code == 404


def test_a_deny_beats_a_grant(world: World, skill: Skill, nora: User) -> None:
    grant(world, skill, nora.id)
    bind(nora, "SkillUser", world.root, decision="deny")
    assert api_of(nora).get(f"/skills/{skill.id}").status_code == 404
