"""Nobody hands out what he does not hold, frees himself, shuts out who stands above, or leaves an organization without
an admin.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import OU, Binding, Group, PrincipalKind, Role, User
from accounts.principals import enroll
from accounts.roles import builtin_id
from powerloom.audit.models import Entry
from powerloom.kernel.ids import new_id
from tests.world import Api, World, api_of, bind, make_group, make_role, make_token, make_user


def binding(principal: User | Group | OU, role: str | Role, scope: OU, decision: str = "allow") -> dict[str, Any]:
    role_id = builtin_id(role) if isinstance(role, str) else role.id
    found = {"principal_id": principal.id, "role_id": role_id, "scope_ou_id": scope.id}
    return {name: str(value) for name, value in found.items()} | {"decision_type": decision}


def status(api: Api, path: str, body: Any = None, method: str = "post") -> int:
    found: int = getattr(api, method)(path, body).status_code
    return found


# --- What is given must be held


def test_an_ou_admin_gives_what_it_holds_where_it_holds_it(world: World) -> None:
    bob = api_of(world.bob)
    assert status(bob, "/role-bindings", binding(world.eve, "AgentOwner", world.platform)) == 201
    assert status(bob, "/role-bindings", binding(world.eve, "AgentOwner", world.sales)) == 403
    assert status(bob, "/role-bindings", binding(world.eve, "AgentOwner", world.root)) == 403
    assert status(bob, "/role-bindings", binding(world.eve, "OrgAdmin", world.engineering)) == 403
    assert status(bob, "/role-bindings", binding(world.eve, "Auditor", world.engineering)) == 403
    assert status(bob, "/role-bindings", binding(world.bob, "Auditor", world.engineering)) == 403, "to himself neither"


def test_the_refusal_names_the_right_that_is_missing_and_is_recorded(world: World) -> None:
    error = api_of(world.bob).post("/role-bindings", binding(world.eve, "Auditor", world.engineering)).json()["error"]
    assert error["detail"]["permission"] == "audit:export"
    (entry,) = Entry.objects.filter(action="role_binding:create")
    assert (entry.decision, entry.actor_ref) == ("denied", "user:bob@acme.example")


def test_a_deny_further_down_is_not_given_around(world: World) -> None:
    bind(world.bob, make_role(world.acme, "NoCreate", "agent:create").name, world.platform, decision="deny")
    bob = api_of(world.bob)
    assert status(bob, "/role-bindings", binding(world.eve, "AgentOwner", world.engineering)) == 403
    assert status(bob, "/role-bindings", binding(world.eve, "AgentViewer", world.engineering)) == 201


def test_what_ends_is_not_given_for_longer(world: World) -> None:
    soon, later = timezone.now() + timedelta(hours=1), timezone.now() + timedelta(hours=2)
    carl = make_user("carl@acme.example", home=world.sales)
    bind(carl, "OUAdmin", world.sales, expires_at=soon)
    api = api_of(carl)
    assert status(api, "/role-bindings", binding(world.eve, "AgentViewer", world.sales)) == 403
    body = binding(world.eve, "AgentViewer", world.sales)
    assert status(api, "/role-bindings", body | {"expires_at": later.isoformat()}) == 403
    assert status(api, "/role-bindings", body | {"expires_at": soon.isoformat()}) == 201


def test_a_narrow_token_gives_no_more_than_it_carries(world: World) -> None:
    narrow = Api(make_token(world.alice, actions=["role_binding:create", "role_binding:read", "agent:read"]))
    only_read = make_role(world.acme, "OnlyRead", "agent:read")
    assert status(narrow, "/role-bindings", binding(world.eve, only_read, world.sales)) == 201
    assert status(narrow, "/role-bindings", binding(world.eve, "AgentViewer", world.sales)) == 403
    placed = Api(make_token(world.alice, ou=world.engineering))
    assert status(placed, "/role-bindings", binding(world.vera, "AgentOwner", world.platform)) == 201
    assert status(placed, "/role-bindings", binding(world.vera, "AgentOwner", world.sales)) == 403


def test_a_group_gives_its_rights_only_through_who_holds_them(world: World) -> None:
    group = make_group(world.engineering, "auditors")
    inner = make_group(world.engineering, "inner")
    bind(group, "Auditor", world.root)
    bob = api_of(world.bob)
    assert status(bob, f"/groups/{group.id}/users", {"user_id": str(world.bob.id)}) == 403
    assert status(bob, f"/groups/{group.id}/groups", {"member_group_id": str(inner.id)}) == 403
    assert status(api_of(world.alice), f"/groups/{group.id}/groups", {"member_group_id": str(inner.id)}) == 200
    assert status(bob, f"/groups/{inner.id}/users", {"user_id": str(world.bob.id)}) == 403, "through a nested one"


def test_a_home_brings_rights_only_through_who_holds_them(world: World) -> None:
    bind(world.platform, "Auditor", world.engineering)
    bob = api_of(world.bob)
    bind(world.bob, "OUAdmin", world.sales)
    assert status(bob, "/users", {"email": "new@acme.example", "home_ou_id": str(world.platform.id)}) == 403
    assert status(bob, f"/users/{world.vera.id}", {"home_ou_id": str(world.platform.id)}, "patch") == 403
    moved = status(api_of(world.alice), f"/users/{world.vera.id}", {"home_ou_id": str(world.platform.id)}, "patch")
    assert moved == 200


def test_enabling_somebody_takes_all_that_comes_back(world: World) -> None:
    gone = make_user("gone@acme.example", home=world.platform, is_active=False)
    bind(gone, "Auditor", world.platform)
    assert status(api_of(world.bob), f"/users/{gone.id}", {"is_active": True}, "patch") == 403
    assert status(api_of(world.alice), f"/users/{gone.id}", {"is_active": True}, "patch") == 200


@pytest.mark.parametrize("is_active", [True, False])
def test_giving_somebody_a_password_takes_all_that_he_holds(world: World, is_active: bool) -> None:
    auditor = make_user("auditor@acme.example", home=world.platform, is_active=is_active)
    bind(auditor, "Auditor", world.platform)
    plain = make_user("plain@acme.example", home=world.platform)
    bob = api_of(world.bob)
    assert status(bob, f"/users/{auditor.id}/password") == 403
    assert status(bob, f"/users/{world.alice.id}/password") == 403
    assert status(bob, f"/users/{plain.id}/password") == 200


def test_a_role_grows_only_by_what_its_editor_holds_wherever_it_is_bound(world: World) -> None:
    role = make_role(world.acme, "Reader", "agent:read")
    editor = make_user("editor@acme.example", home=world.root)
    bind(editor, make_role(world.acme, "Editor", "role:update", "agent:read", "skill:read").name, world.root)
    bind(world.eve, "Reader", world.platform)
    api = api_of(editor)
    assert status(api, f"/roles/{role.id}", {"actions": ["agent:read", "skill:read"]}, "patch") == 200
    assert status(api, f"/roles/{role.id}", {"actions": ["agent:read", "agent:create"]}, "patch") == 403
    assert status(api, f"/roles/{role.id}", {"actions": ["skill:read"]}, "patch") == 200, "less is free"


def test_a_set_is_judged_against_the_state_before_it(world: World) -> None:
    """Disabling and then enabling in one request does not launder what the caller does not hold."""
    gone = make_user("gone@acme.example", home=world.platform, is_active=False)
    bind(gone, "Auditor", world.platform)
    body = {"name": "renamed", "is_active": True}
    assert status(api_of(world.bob), f"/users/{gone.id}", body, "patch") == 403
    gone.refresh_from_db()
    assert gone.name != "renamed", "nothing of the set was done"


# --- Denies


def deny_of(world: World, principal: Any, scope: OU, role: str = "AgentOperator") -> str:
    return f"/role-bindings/{bind(principal, role, scope, decision='deny').id}"


def test_nobody_ends_a_deny_that_reaches_himself(world: World) -> None:
    group = make_group(world.engineering, "all")
    paths = [
        deny_of(world, world.alice, world.platform),
        deny_of(world, world.root, world.platform),
        deny_of(world, make_group(world.engineering, "admins", world.alice), world.platform),
    ]
    alice = api_of(world.alice)
    assert [status(alice, path, method="delete") for path in paths] == [403, 403, 403]
    assert status(alice, deny_of(world, group, world.platform), method="delete") == 204


def test_nobody_walks_out_of_a_deny(world: World) -> None:
    group = make_group(world.engineering, "watched", world.alice)
    deny_of(world, group, world.platform)
    deny_of(world, world.engineering, world.platform)
    world.alice.home_ou = world.engineering
    alice = api_of(world.alice)
    assert status(alice, f"/groups/{group.id}/users/{world.alice.id}", method="delete") == 403
    assert status(alice, f"/groups/{group.id}", method="delete") == 403
    assert status(api_of(world.bob), f"/users/{world.bob.id}", {"home_ou_id": str(world.sales.id)}, "patch") == 403
    role = make_role(world.acme, "Custom", "agent:create", "agent:read")
    bind(world.alice, "Custom", world.platform, decision="deny")
    assert status(alice, f"/roles/{role.id}", {"actions": ["agent:read"]}, "patch") == 403


def test_ending_a_deny_takes_what_it_frees(world: World) -> None:
    bob = api_of(world.bob)
    assert status(bob, deny_of(world, world.eve, world.platform, "Auditor"), method="delete") == 403
    assert status(bob, deny_of(world, world.eve, world.platform, "AgentViewer"), method="delete") == 204


def test_a_deny_does_not_reach_who_holds_it_from_above(world: World) -> None:
    bob = api_of(world.bob)
    carl = make_user("carl@acme.example", home=world.platform)
    bind(carl, "AgentOwner", world.platform)
    assert status(bob, "/role-bindings", binding(world.alice, "AgentOwner", world.engineering, "deny")) == 403
    assert status(bob, "/role-bindings", binding(world.root, "AgentOwner", world.engineering, "deny")) == 403
    admins = make_group(world.engineering, "admins", world.alice)
    assert status(bob, "/role-bindings", binding(admins, "AgentOwner", world.engineering, "deny")) == 403
    assert status(bob, "/role-bindings", binding(carl, "AgentOwner", world.platform, "deny")) == 201


def test_nobody_is_put_under_a_deny_by_who_stands_below(world: World) -> None:
    watched = make_group(world.engineering, "watched")
    deny_of(world, watched, world.engineering, "AgentOwner")
    bob = api_of(world.bob)
    assert status(bob, f"/groups/{watched.id}/users", {"user_id": str(world.alice.id)}) == 403
    assert status(bob, f"/groups/{watched.id}/users", {"user_id": str(world.eve.id)}) == 200


def test_an_admin_is_disabled_only_by_who_administers_as_high(world: World) -> None:
    other = make_user("other@acme.example", home=world.engineering)
    bind(other, "OrgAdmin", world.root)
    bob = api_of(world.bob)
    assert status(bob, f"/users/{other.id}", {"is_active": False}, "patch") == 403
    assert status(bob, f"/users/{world.eve.id}", {"is_active": False}, "patch") == 200
    assert status(api_of(world.alice), f"/users/{other.id}", {"is_active": False}, "patch") == 200


# --- The last admin


def test_the_last_root_admin_is_not_removed_disabled_or_denied(world: World) -> None:
    alice = api_of(world.alice)
    (own,) = alice.get("/role-bindings", {"principal_id": str(world.alice.id)}).json()
    assert status(alice, f"/role-bindings/{own['id']}", method="delete") == 409
    assert status(alice, f"/users/{world.alice.id}", {"is_active": False}, "patch") == 409
    assert status(alice, "/role-bindings", binding(world.alice, "SkillUser", world.sales, "deny")) == 409
    assert status(alice, "/role-bindings", binding(world.root, "SkillUser", world.sales, "deny")) == 409


def test_a_second_admin_makes_the_first_replaceable(world: World) -> None:
    second = make_user("second@acme.example", home=world.root)
    bind(second, "OrgAdmin", world.root)
    api = api_of(second)
    assert status(api, f"/users/{world.alice.id}", {"is_active": False}, "patch") == 200
    assert status(api, f"/users/{second.id}", {"is_active": False}, "patch") == 409


@pytest.mark.parametrize("how", ["expiring", "by a group", "disabled", "denied"])
def test_only_a_lasting_admin_counts(world: World, how: str) -> None:
    second = make_user("second@acme.example", home=world.root, is_active=how != "disabled")
    if how == "by a group":
        bind(make_group(world.root, "admins", second), "OrgAdmin", world.root)
    else:
        until = timezone.now() + timedelta(days=1) if how == "expiring" else None
        bind(second, "OrgAdmin", world.root, expires_at=until)
    if how == "denied":
        bind(second, "OrgAdmin", world.sales, decision="deny")
    (own,) = api_of(world.alice).get("/role-bindings", {"principal_id": str(world.alice.id)}).json()
    expected = 204 if how == "by a group" else 409
    assert status(api_of(world.alice), f"/role-bindings/{own['id']}", method="delete") == expected


def test_the_last_admin_in_a_group_stays_in_it(world: World) -> None:
    group = make_group(world.root, "admins", world.alice)
    bind(group, "OrgAdmin", world.root)
    alice = api_of(world.alice)
    (own,) = alice.get("/role-bindings", {"principal_id": str(world.alice.id)}).json()
    assert status(alice, f"/role-bindings/{own['id']}", method="delete") == 204
    assert status(alice, f"/groups/{group.id}/users/{world.alice.id}", method="delete") == 409
    assert status(alice, f"/groups/{group.id}", method="delete") == 409


def test_a_role_that_is_called_like_an_admin_is_none(world: World) -> None:
    """The exemption goes by the role's id: a name is only a name."""
    carl = make_user("carl@acme.example", home=world.sales)
    impostor = make_role(world.acme, "0rgAdmin", "role_binding:create")
    impostor.name = "OrgAdmin"
    impostor.save()
    Binding.objects.create(
        organization=world.acme, principal_id=carl.id, role=impostor, scope_ou=world.root, decision_type="allow"
    )
    assert status(api_of(carl), "/role-bindings", binding(carl, "Auditor", world.root)) == 403


# --- Nor around corners


def test_an_admin_for_an_hour_makes_nobody_an_admin_for_ever(world: World) -> None:
    soon = timezone.now() + timedelta(hours=1)
    carl = make_user("carl@acme.example", home=world.sales)
    bind(carl, "OrgAdmin", world.root, expires_at=soon)
    api = api_of(carl)
    assert status(api, "/role-bindings", binding(carl, "OrgAdmin", world.root)) == 403
    assert status(api, "/role-bindings", binding(world.eve, "AgentViewer", world.sales)) == 403
    brief = binding(world.eve, "AgentViewer", world.sales) | {"expires_at": soon.isoformat()}
    assert status(api, "/role-bindings", brief) == 201


def test_a_deny_does_not_wait_for_a_disabled_user_from_above(world: World) -> None:
    carl = make_user("carl@acme.example", home=world.engineering)
    bind(carl, "Auditor", world.root)
    assert status(api_of(world.alice), f"/users/{carl.id}", {"is_active": False}, "patch") == 200
    assert status(api_of(world.bob), "/role-bindings", binding(carl, "AgentViewer", world.platform, "deny")) == 403


def test_a_deny_does_not_reach_an_agent_whose_rights_come_from_above(world: World) -> None:
    robot = new_id()
    enroll(robot, kind=PrincipalKind.AGENT, organization_id=world.acme.id, ref="agent:/acme/engineering/robot")
    bind(robot, "Auditor", world.root)
    body = binding(world.eve, "AgentViewer", world.engineering, "deny") | {"principal_id": str(robot)}
    assert status(api_of(world.bob), "/role-bindings", body) == 403
    assert status(api_of(world.alice), "/role-bindings", body) == 201


def test_a_role_whose_bindings_have_expired_may_be_archived(world: World) -> None:
    role = make_role(world.acme, "Passing", "agent:read")
    bind(world.eve, role.name, world.sales, expires_at=timezone.now() - timedelta(seconds=1))
    assert status(api_of(world.alice), f"/roles/{role.id}", method="delete") == 204
