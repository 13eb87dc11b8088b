"""Roles, bindings, and the questions of access over REST."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Binding
from accounts.roles import ROLES, builtin_id, known_actions
from powerloom.audit.models import Entry
from powerloom.kernel.explanation import UNSEEN
from tests.world import Api as ApiClient
from tests.world import World, api_of, bind, make_group, make_role, make_token, make_user


def binding(world: World, **named: Any) -> dict[str, Any]:
    return {
        "principal_id": str(world.vera.id),
        "role_id": str(builtin_id("AgentViewer")),
        "scope_ou_id": str(world.platform.id),
        "decision_type": "allow",
    } | named


# --- Roles


def test_the_ten_built_in_roles_are_there_with_fixed_ids(world: World) -> None:
    rows = api_of(world.eve).get("/roles").json()
    assert {row["name"] for row in rows} == set(ROLES) == {row["name"] for row in rows if row["is_builtin"]}
    assert len(rows) == 10
    assert {row["id"] for row in rows} == {str(builtin_id(name)) for name in ROLES}
    (admin,) = [row for row in rows if row["name"] == "OrgAdmin"]
    assert set(admin["actions"]) == known_actions()


def test_a_custom_role_is_made_changed_and_archived(world: World) -> None:
    alice = api_of(world.alice)
    made = alice.post("/roles", {"name": "Reader", "actions": ["agent:read", "skill:read"]})
    assert made.status_code == 201
    path = f"/roles/{made.json()['id']}"
    assert alice.patch(path, {"description": "reads"}).json()["actions"] == ["agent:read", "skill:read"]
    assert alice.patch(path, {"actions": ["agent:read"]}).json()["actions"] == ["agent:read"]
    bound = alice.post("/role-bindings", binding(world, role_id=made.json()["id"])).json()["id"]
    assert alice.delete(path).status_code == 409, "it is bound"
    alice.delete(f"/role-bindings/{bound}")
    assert alice.delete(path).status_code == 204
    assert alice.get(path).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"name": "OrgAdmin", "actions": ["agent:read"]},
        {"name": "X", "actions": ["agent:fly"]},
        {"name": "X", "actions": []},
        {"name": "1", "actions": ["agent:read"]},
    ],
)
def test_a_role_must_make_sense(world: World, body: dict[str, Any]) -> None:
    assert api_of(world.alice).post("/roles", body).status_code in {409, 422}


def test_built_in_roles_cannot_be_changed(world: World) -> None:
    alice, path = api_of(world.alice), f"/roles/{builtin_id('Auditor')}"
    assert alice.patch(path, {"actions": ["agent:read"]}).status_code == 409
    assert alice.delete(path).status_code == 409


def test_roles_of_another_organization_do_not_exist(world: World) -> None:
    role = make_role(world.zeta, "Theirs", "agent:read")
    alice = api_of(world.alice)
    assert alice.get(f"/roles/{role.id}").status_code == 404
    assert alice.post("/role-bindings", binding(world, role_id=str(role.id))).status_code == 404


# --- Bindings


def test_a_binding_is_found_by_principal_and_by_the_very_scope(world: World) -> None:
    alice = api_of(world.alice)
    made = alice.post("/role-bindings", binding(world))
    assert made.status_code == 201

    def found(**asked: Any) -> list[str]:
        return [row["id"] for row in alice.get("/role-bindings", {k: str(v) for k, v in asked.items()}).json()]

    here = {"principal_id": world.vera.id, "scope_ou_id": world.platform.id}
    assert found(**here) == [made.json()["id"]]
    assert found(**here | {"principal_id": world.eve.id}) == []
    assert found(**here | {"scope_ou_id": world.engineering.id}) == []
    assert alice.delete(f"/role-bindings/{made.json()['id']}").status_code == 204
    assert found(**here) == []


def test_the_same_binding_twice_is_one_and_an_allow_beside_a_deny_is_two(world: World) -> None:
    alice = api_of(world.alice)
    first, second = (alice.post("/role-bindings", binding(world)).json()["id"] for _ in range(2))
    assert first == second
    assert alice.post("/role-bindings", binding(world, decision_type="deny")).json()["id"] != first


def test_an_expired_binding_gives_nothing_and_makes_room(world: World) -> None:
    over = bind(world.vera, "AgentOwner", world.platform, expires_at=timezone.now() - timedelta(seconds=1))
    alice = api_of(world.alice)
    asked = {"action": "agent:create", "ou_id": str(world.platform.id), "principal_id": str(world.vera.id)}
    assert alice.get("/access/check", asked).json()["allowed"] is False
    made = alice.post("/role-bindings", binding(world, role_id=str(builtin_id("AgentOwner"))))
    assert made.status_code == 201
    assert made.json()["id"] != str(over.id)
    assert alice.get("/access/check", asked).json()["allowed"] is True


@pytest.mark.parametrize("moment", ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00", "tomorrow"])
def test_a_binding_expires_in_the_future_at_a_moment_with_a_zone(world: World, moment: str) -> None:
    answer = api_of(world.alice).post("/role-bindings", binding(world, expires_at=moment))
    assert answer.status_code == 422
    assert answer.json()["error"]["detail"]["field"] == "expires_at"


def test_bindings_are_read_with_the_right_to_read_them_and_ones_own(world: World) -> None:
    bind(world.eve, "AgentViewer", world.platform)
    seen = {name: api_of(getattr(world, name)).get("/role-bindings").json() for name in ("bob", "eve", "mallory")}
    assert {row["scope_ou_path"] for row in seen["bob"]} == {"/acme/engineering", "/acme/engineering/platform"}
    assert {row["principal_ref"] for row in seen["eve"]} == {"user:eve@acme.example"}
    assert {row["scope_ou_path"] for row in seen["mallory"]} == {"/zeta"}


# --- Questions


def check(api: ApiClient, action: str, ou: Any, **more: Any) -> Any:
    return api.get("/access/check", {"action": action, "ou_id": str(ou.id)} | more)


def explain(api: ApiClient, action: str, ou: Any, **more: Any) -> Any:
    return api.get("/access/explain", {"action": action, "ou_id": str(ou.id)} | more).json()


def test_everybody_may_ask_about_himself(world: World) -> None:
    answer = check(api_of(world.eve), "agent:read", world.platform).json()
    assert answer["allowed"] is True
    assert answer["because"]["role"] == "AgentViewer"
    assert check(api_of(world.eve), "agent:create", world.platform).json()["allowed"] is False


def test_asking_about_others_takes_a_right_and_its_lack_is_recorded(world: World) -> None:
    of_vera = {"principal_id": str(world.vera.id)}
    assert check(api_of(world.bob), "agent:read", world.platform, **of_vera).status_code == 200
    assert check(api_of(world.bob), "agent:read", world.sales, **of_vera).status_code == 403
    assert check(api_of(world.eve), "agent:read", world.platform, **of_vera).status_code == 403
    assert Entry.objects.filter(action="access:explain", decision="denied").count() == 2


def test_a_no_names_the_smallest_grant_and_who_can_make_it(world: World) -> None:
    make_role(world.acme, "JustCreate", "agent:create")
    answer = explain(api_of(world.eve), "agent:create", world.platform)
    assert answer["allowed"] is False
    assert [fact["kind"] for fact in answer["facts"]] == ["principal", "nothing"]
    (step,) = answer["remedy"]
    assert step["text"] == "Bind JustCreate on /acme/engineering/platform to user:eve@acme.example."
    assert step["who"] == ["user:bob@acme.example", "user:alice@acme.example"], "the nearest first"


def test_the_remedy_is_one(world: World) -> None:
    (step,) = explain(api_of(world.eve), "agent:create", world.platform)["remedy"]
    body = {name: step[name] for name in ("principal_id", "role_id", "scope_ou_id")}
    assert api_of(world.bob).post("/role-bindings", body).status_code == 201
    assert check(api_of(world.eve), "agent:create", world.platform).json()["allowed"] is True


def test_a_deny_decides_and_the_facts_are_in_the_order_of_the_law(world: World) -> None:
    group = make_group(world.platform, "contractors", world.eve)
    deny = bind(group, "AgentViewer", world.engineering, decision="deny")
    answer = explain(api_of(world.eve), "agent:read", world.platform)
    assert answer["allowed"] is False
    assert [(fact["kind"], fact["decides"]) for fact in answer["facts"]] == [
        ("principal", False),
        ("deny", True),
        ("allow", False),
    ]
    assert answer["because"]["binding_id"] == str(deny.id)
    (step,) = answer["remedy"]
    assert step["kind"] == "end_deny"
    assert step["who"] == ["user:bob@acme.example", "user:alice@acme.example"]


def test_a_token_that_is_too_narrow_is_the_first_fact(world: World) -> None:
    api = ApiClient(make_token(world.alice, actions=["agent:read"]))
    answer = explain(api, "agent:create", world.platform)
    assert [fact["kind"] for fact in answer["facts"]][:2] == ["principal", "token"]
    assert answer["facts"][1]["decides"] is True
    assert answer["remedy"][0]["kind"] == "token"


def test_a_rule_that_the_caller_may_not_read_counts_and_is_not_told(world: World) -> None:
    bind(world.eve, "AgentViewer", world.root, decision="deny")
    answer = explain(api_of(world.bob), "agent:read", world.platform, principal_id=str(world.eve.id))
    assert answer["allowed"] is False
    assert (answer["reason"], answer["because"]) == (UNSEEN, None)
    assert [fact["text"] for fact in answer["facts"] if fact["decides"]] == [UNSEEN]
    assert [step["text"] for step in answer["remedy"]] == [f"End {UNSEEN}."]
    assert "user:alice" not in str(answer)


def test_a_disabled_user_is_explained(world: World) -> None:
    gone = make_user("gone@acme.example", home=world.platform, is_active=False)
    bind(gone, "AgentViewer", world.platform)
    answer = explain(api_of(world.alice), "agent:read", world.platform, principal_id=str(gone.id))
    assert answer["allowed"] is False
    assert "disabled" in answer["facts"][0]["text"]


def test_only_known_actions_are_asked_about(world: World) -> None:
    assert check(api_of(world.eve), "agent:fly", world.platform).status_code == 422


def test_a_refusal_names_permission_place_and_who_can_grant_it(world: World) -> None:
    body = {"name": "x", "display_name": "X", "parent_id": str(world.platform.id)}
    error = api_of(world.eve).post("/ous", body).json()["error"]
    assert error["code"] == "permission_denied"
    assert "ou:create on /acme/engineering/platform/x" in error["message"]
    assert error["detail"]["can_grant"] == ["user:bob@acme.example", "user:alice@acme.example"]
    assert Binding.objects.filter(principal_id=world.eve.id).count() == 1
