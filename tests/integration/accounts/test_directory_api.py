"""The directory over REST: who I am, the tree, people and groups, as existing clients read and write them."""

from typing import Any
from uuid import uuid4

import pytest

from accounts.models import OU, Group, PrincipalClosure, Secret
from accounts.tokens import authenticate
from powerloom.audit.models import Entry
from tests.world import World, api_of, bind, make_group, make_ou, make_token, make_user


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


# --- Me


def test_me_is_what_clients_read(world: World) -> None:
    me = api_of(world.bob).get("/me").json()
    assert me["email"] == "bob@acme.example"
    assert me["id"] == me["principal_id"] == str(world.bob.id)
    assert me["organization_id"] == str(world.acme.id)
    assert me["home_ou_path"] == "/acme/engineering"


def test_settings_tell_clients_how_to_clone(world: World) -> None:
    answer = api_of(world.eve).get("/organizations/me/settings")
    assert answer.json() == {"clone_auth_mode": "local_credentials"}


# --- The tree


def test_the_tree_begins_with_the_organization_and_nests(world: World) -> None:
    (root,) = api_of(world.eve).get("/ous/tree").json()
    assert (root["name"], root["path"], root["parent_id"]) == ("acme", "/acme", None)
    assert names(root["children"]) == ["engineering", "sales"]
    assert names(root["children"][0]["children"]) == ["platform"]


def test_a_new_ou_is_in_the_tree_at_once(world: World) -> None:
    alice = api_of(world.alice)
    body = {"name": "data", "display_name": "Data", "parent_id": str(world.platform.id)}
    created = alice.post("/ous", body)
    assert created.status_code == 201
    assert created.json()["path"] == "/acme/engineering/platform/data"
    assert created.json()["principal_id"] == created.json()["id"]
    tree = alice.get("/ous/tree").json()
    assert names(tree[0]["children"][0]["children"][0]["children"]) == ["data"]


def test_ous_filtered_by_an_ou_are_those_directly_in_it(world: World) -> None:
    eve = api_of(world.eve)
    assert names(eve.get("/ous").json()) == ["acme", "engineering", "sales", "platform"]
    assert names(eve.get("/ous", {"ou_id": str(world.engineering.id)}).json()) == ["platform"]


@pytest.mark.parametrize("name", ["", "-a", "A", "a b", "a/b", "a" * 64, "ä", "a\n"])
def test_an_ou_name_is_a_path_segment(world: World, name: str) -> None:
    body = {"name": name, "display_name": "X", "parent_id": str(world.root.id)}
    assert api_of(world.alice).post("/ous", body).status_code == 422


def test_a_name_is_taken_once_and_free_again_after_archiving(world: World) -> None:
    alice = api_of(world.alice)
    body = {"name": "sales", "display_name": "Sales", "parent_id": str(world.root.id)}
    assert alice.post("/ous", body).status_code == 409
    alice.patch(f"/users/{world.vera.id}", {"home_ou_id": str(world.root.id)})
    assert alice.delete(f"/ous/{world.sales.id}").status_code == 204
    assert alice.get(f"/ous/{world.sales.id}").status_code == 404
    assert alice.post("/ous", body).status_code == 201


def test_what_still_holds_something_is_not_archived(world: World) -> None:
    alice = api_of(world.alice)
    held = alice.delete(f"/ous/{world.engineering.id}")
    assert held.status_code == 409
    assert len(held.json()["error"]["detail"]["left"]) == 2, "a child and residents"
    assert alice.delete(f"/ous/{world.root.id}").status_code == 409
    secret = Secret.objects.create(organization=world.acme, ou=world.platform, name="s", kind="opaque")
    assert alice.delete(f"/ous/{world.platform.id}").status_code == 409
    secret.archived_at = secret.created_at
    secret.save()
    assert alice.delete(f"/ous/{world.platform.id}").status_code == 204


def test_rights_of_an_archived_ou_do_not_come_back_with_its_name(world: World) -> None:
    alice = api_of(world.alice)
    bind(world.vera, "AgentOwner", world.platform)
    token = make_token(world.bob, ou=world.platform)
    alice.delete(f"/ous/{world.platform.id}")
    body = {"name": "platform", "display_name": "Another", "parent_id": str(world.engineering.id)}
    again = alice.post("/ous", body).json()["id"]
    check = alice.get("/access/check", {"action": "agent:read", "ou_id": again, "principal_id": str(world.vera.id)})
    assert check.json()["because"]["role"] == "Approver"
    assert authenticate(token, request_id="", address="") is None


def test_the_tree_has_a_floor(world: World) -> None:
    alice, parent = api_of(world.alice), world.root
    for level in range(31):
        parent = make_ou(parent, f"l{level}")
    refused = alice.post("/ous", {"name": "deeper", "display_name": "X", "parent_id": str(parent.id)})
    assert refused.status_code == 422


def test_only_the_display_name_of_an_ou_changes(world: World) -> None:
    alice = api_of(world.alice)
    assert alice.patch(f"/ous/{world.sales.id}", {"display_name": "Sales!"}).json()["display_name"] == "Sales!"
    assert alice.patch(f"/ous/{world.sales.id}", {"name": "other"}).status_code == 422
    assert OU.objects.get(pk=world.sales.id).name == "sales"


# --- People


def test_users_carry_what_clients_match_by(world: World) -> None:
    rows = api_of(world.eve).get("/users").json()
    assert [row["email"] for row in rows] == [f"{name}@acme.example" for name in ("alice", "bob", "vera", "eve")]
    vera = rows[2]
    assert vera["principal_id"] == vera["id"] == str(world.vera.id)
    assert (vera["home_ou_id"], vera["home_ou_path"]) == (str(world.sales.id), "/acme/sales")


def test_users_are_found_by_email(world: World) -> None:
    eve = api_of(world.eve)
    assert [row["id"] for row in eve.get("/users", {"email": "Bob@acme.example"}).json()] == [str(world.bob.id)]
    assert eve.get("/users", {"email": "mallory@zeta.example"}).json() == []


def test_a_user_is_made_renamed_and_moved(world: World) -> None:
    alice = api_of(world.alice)
    made = alice.post("/users", {"email": "New@Acme.example", "name": "New", "home_ou_id": str(world.sales.id)})
    assert made.status_code == 201
    assert made.json()["email"] == "new@acme.example"
    path = f"/users/{made.json()['id']}"
    moved = alice.patch(path, {"name": "Newer", "home_ou_id": str(world.platform.id)}).json()
    assert (moved["name"], moved["home_ou_path"]) == ("Newer", "/acme/engineering/platform")
    speaks = PrincipalClosure.objects.filter(member_id=made.json()["id"]).values_list("principal__ref", flat=True)
    assert set(speaks) == {"user:new@acme.example", "ou:/acme", "ou:/acme/engineering", "ou:/acme/engineering/platform"}


@pytest.mark.parametrize(
    "body", [{"name": None}, {"is_active": None}, {"email": "x@y.example"}, {}, {"is_staff": True}]
)
def test_a_patch_names_what_it_changes(world: World, body: dict[str, Any]) -> None:
    assert api_of(world.alice).patch(f"/users/{world.eve.id}", body).status_code == 422


def test_an_ou_admin_makes_users_at_home_in_the_ou_alone(world: World) -> None:
    bob = api_of(world.bob)
    body = {"email": "a@acme.example", "home_ou_id": str(world.platform.id)}
    assert bob.post("/users", body).status_code == 201
    assert bob.post("/users", {"email": "b@acme.example", "home_ou_id": str(world.sales.id)}).status_code == 403


def test_a_disabled_user_speaks_for_nobody_until_enabled_again(world: World) -> None:
    alice = api_of(world.alice)
    asked = {"action": "agent:read", "ou_id": str(world.engineering.id), "principal_id": str(world.eve.id)}
    token = make_token(world.eve)
    alice.patch(f"/users/{world.eve.id}", {"is_active": False})
    assert alice.get("/access/check", asked).json()["allowed"] is False
    alice.patch(f"/users/{world.eve.id}", {"is_active": True})
    assert alice.get("/access/check", asked).json()["allowed"] is True
    assert authenticate(token, request_id="", address="") is None, "its tokens stay revoked"


def test_a_first_password_is_shown_once_even_to_a_repeat(world: World) -> None:
    alice, path = api_of(world.alice), f"/users/{world.eve.id}/password"
    first = alice.post(path, HTTP_IDEMPOTENCY_KEY="once-only")
    assert len(first.json()["initial_password"]) >= 20
    again = alice.post(path, HTTP_IDEMPOTENCY_KEY="once-only").json()
    assert (again["initial_password"], again["secret_already_shown"]) == (None, True)
    world.eve.refresh_from_db()
    assert world.eve.check_password(first.json()["initial_password"])


# --- Groups


def test_a_group_shows_users_and_groups_in_one_list(world: World) -> None:
    alice = api_of(world.alice)
    body = {"name": "leads", "display_name": "Leads", "description": None, "ou_id": str(world.engineering.id)}
    group = alice.post("/groups", body)
    assert group.status_code == 201
    inner = make_group(world.platform, "inner")
    path = f"/groups/{group.json()['id']}"
    assert alice.post(f"{path}/users", {"user_id": str(world.eve.id)}).status_code == 200
    alice.post(f"{path}/groups", {"member_group_id": str(inner.id)})
    detail = alice.get(path).json()
    assert {member["principal_id"] for member in detail["members"]} == {str(world.eve.id), str(inner.id)}
    assert (detail["ou_id"], detail["description"]) == (str(world.engineering.id), None)
    assert alice.delete(f"{path}/users/{world.eve.id}").status_code == 204
    assert alice.delete(f"{path}/groups/{inner.id}").status_code == 204
    assert alice.delete(f"{path}/groups/{inner.id}").status_code == 404
    assert alice.get(path).json()["members"] == []


def test_groups_are_listed_by_the_very_ou(world: World) -> None:
    make_group(world.engineering, "above")
    make_group(world.platform, "here")
    eve = api_of(world.eve)
    assert names(eve.get("/groups", {"ou_id": str(world.platform.id)}).json()) == ["here"]
    assert names(eve.get("/groups", {"ou_id": str(world.engineering.id)}).json()) == ["above"]


def test_groups_do_not_go_in_circles(world: World) -> None:
    alice = api_of(world.alice)
    inner = make_group(world.platform, "inner")
    middle = make_group(world.platform, "middle", inner)
    outer = make_group(world.platform, "outer", middle)
    for member in (inner, middle, outer):
        answer = alice.post(f"/groups/{inner.id}/groups", {"member_group_id": str(outer.id)})
        assert answer.status_code == 409, member
    assert alice.post(f"/groups/{inner.id}/groups", {"member_group_id": str(inner.id)}).status_code == 409


def test_rights_flow_through_nested_groups_and_stop_when_a_link_is_cut(world: World) -> None:
    alice = api_of(world.alice)
    inner = make_group(world.platform, "inner", world.vera)
    outer = make_group(world.platform, "outer")
    bind(outer, "AgentOwner", world.platform)
    asked = {"action": "agent:create", "ou_id": str(world.platform.id), "principal_id": str(world.vera.id)}

    def allowed() -> bool:
        found: bool = alice.get("/access/check", asked).json()["allowed"]
        return found

    assert not allowed()
    alice.post(f"/groups/{outer.id}/groups", {"member_group_id": str(inner.id)})
    assert allowed()
    alice.delete(f"/groups/{outer.id}/groups/{inner.id}")
    assert not allowed()


def test_an_archived_group_is_gone_with_what_it_gave(world: World) -> None:
    alice = api_of(world.alice)
    group = make_group(world.platform, "owners", world.vera)
    bind(group, "AgentOwner", world.platform)
    assert alice.delete(f"/groups/{group.id}").status_code == 204
    asked = {"action": "agent:create", "ou_id": str(world.platform.id), "principal_id": str(world.vera.id)}
    assert alice.get("/access/check", asked).json()["allowed"] is False
    assert alice.get(f"/groups/{group.id}").status_code == 404
    binding = {"principal_id": str(group.id), "role_id": str(uuid4()), "scope_ou_id": str(world.platform.id)}
    assert alice.post("/role-bindings", binding).status_code == 404
    again = {"name": "owners", "display_name": "Owners", "ou_id": str(world.platform.id)}
    assert alice.post("/groups", again).status_code == 201
    assert Group.objects.filter(name="owners").count() == 2


def test_a_group_patch_changes_only_what_it_names(world: World) -> None:
    alice = api_of(world.alice)
    body = {"name": "g", "display_name": "G", "description": "about", "ou_id": str(world.sales.id)}
    path = f"/groups/{alice.post('/groups', body).json()['id']}"
    assert alice.patch(path, {"display_name": "H"}).json()["description"] == "about"
    assert alice.patch(path, {"description": None}).json() | {"members": []} == {
        **alice.get(path).json(),
        "display_name": "H",
        "description": None,
    }
    assert alice.patch(path, {"display_name": None}).status_code == 422


def test_every_write_is_in_the_trail(world: World) -> None:
    alice = api_of(world.alice)
    user = alice.post("/users", {"email": "new@acme.example", "home_ou_id": str(world.sales.id)}).json()
    group = make_group(world.sales, "sellers")
    alice.post(f"/groups/{group.id}/users", {"user_id": user["id"]})
    api_of(world.eve).delete(f"/groups/{group.id}")
    trail = Entry.objects.filter(chain_id=world.acme.id).order_by("seq")
    assert [(entry.action, entry.actor_ref, entry.decision) for entry in trail] == [
        ("user:create", "user:alice@acme.example", "allowed"),
        ("group:add_member", "user:alice@acme.example", "allowed"),
        ("group:archive", "user:eve@acme.example", "denied"),
    ]


def test_nobody_adds_a_person_of_another_organization(world: World) -> None:
    group = make_group(world.sales, "sellers")
    answer = api_of(world.alice).post(f"/groups/{group.id}/users", {"user_id": str(world.mallory.id)})
    assert answer.status_code == 404


def test_a_user_added_by_an_admin_of_another_ou_keeps_its_home(world: World) -> None:
    outsider = make_user("out@acme.example", home=world.sales)
    answer = api_of(world.bob).patch(f"/users/{outsider.id}", {"home_ou_id": str(world.platform.id)})
    assert answer.status_code == 403
