"""Long-lived tokens over REST: shown once, narrow, ending with what made them."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.commands.tokens import LIFETIME
from accounts.models import OU, AccessToken, PrincipalKind
from accounts.principals import enroll, retire
from accounts.rbac import may
from accounts.tokens import authenticate
from powerloom.audit.models import Entry
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from tests.world import Api, World, api_of, bind, make_token, make_user

OWN = "/users/me/personal-access-tokens"


def made(api: Api, **named: Any) -> Any:
    answer = api.post(OWN, {"name": "ci"} | named)
    assert answer.status_code == 201, answer.json()
    return answer.json()


def actor(token: str) -> Actor:
    found = authenticate(token, request_id="", address="")
    assert found is not None
    return found


def is_dead(token: str) -> bool:
    return authenticate(token, request_id="", address="") is None


# --- As clients use them


def test_a_token_is_shown_once_and_fits_a_line(world: World) -> None:
    api = api_of(world.eve)
    token = made(api)
    assert token["raw_token"].startswith("plm_")
    assert len(token["raw_token"]) < 78
    assert token["raw_token"].startswith(token["token_prefix"])
    assert Api(token["raw_token"]).get("/me").json()["email"] == "eve@acme.example"
    (row,) = api.get(OWN).json()
    assert "raw_token" not in row
    assert AccessToken.objects.get().hmac not in str(row)


def test_the_list_shows_revoked_tokens_and_when_they_were_used(world: World) -> None:
    api = api_of(world.eve)
    token = made(api)
    Api(token["raw_token"]).get("/me")
    assert api.delete(f"{OWN}/{token['id']}").status_code == 204
    (row,) = api.get(OWN).json()
    assert row["last_used_at"] is not None
    assert row["revoked_at"] is not None
    assert is_dead(token["raw_token"])
    assert api.delete(f"{OWN}/{token['id']}").status_code == 204, "again: nothing changes"


def test_a_repeat_does_not_show_it_again(world: World) -> None:
    api = api_of(world.eve)
    first = api.post(OWN, {"name": "ci"}, HTTP_IDEMPOTENCY_KEY="a-key-for-it").json()
    again = api.post(OWN, {"name": "ci"}, HTTP_IDEMPOTENCY_KEY="a-key-for-it").json()
    assert (again["id"], again["raw_token"], again["secret_already_shown"]) == (first["id"], None, True)


def test_it_lives_ninety_days_unless_told(world: World) -> None:
    api = api_of(world.eve)
    expires = datetime.fromisoformat(made(api)["expires_at"])
    assert abs(expires - timezone.now() - LIFETIME) < timedelta(minutes=1)
    soon = timezone.now() + timedelta(hours=1)
    assert datetime.fromisoformat(made(api, expires_at=soon.isoformat())["expires_at"]) == soon


@pytest.mark.parametrize("days", [-1, 367])
def test_it_expires_in_the_future_and_not_too_far(world: World, days: int) -> None:
    moment = (timezone.now() + timedelta(days=days)).isoformat()
    assert api_of(world.eve).post(OWN, {"name": "ci", "expires_at": moment}).status_code == 422


def test_an_expired_token_opens_nothing(world: World) -> None:
    assert is_dead(make_token(world.eve, expires_at=timezone.now() - timedelta(seconds=1)))


def test_another_persons_token_does_not_exist(world: World) -> None:
    token = made(api_of(world.bob))
    assert api_of(world.eve).delete(f"{OWN}/{token['id']}").status_code == 404
    assert api_of(world.alice).delete(f"{OWN}/{token['id']}").status_code == 404, "not by this road"
    assert not is_dead(token["raw_token"])


def test_the_trail_has_the_token_and_not_its_text(world: World) -> None:
    token = made(api_of(world.eve))
    entry = Entry.objects.get(action="token:create")
    assert entry.target_id is not None
    assert token["raw_token"] not in entry.body
    assert AccessToken.objects.get().hmac not in entry.body


# --- Narrow


def test_a_narrow_token_does_no_more_than_it_says(world: World) -> None:
    alice = api_of(world.alice)
    narrow = Api(made(alice, actions=["agent:*", "ou:create"], ou_id=str(world.engineering.id))["raw_token"])
    here = {"name": "x", "display_name": "X", "parent_id": str(world.platform.id)}
    assert narrow.post("/ous", here).status_code == 201
    assert narrow.post("/ous", here | {"parent_id": str(world.sales.id)}).status_code == 403
    assert (
        narrow.post("/groups", {"name": "g", "display_name": "G", "ou_id": str(world.platform.id)}).status_code == 403
    )


@pytest.mark.parametrize("actions", [["agent:fly"], [], ["agent"], ["*"], ["fly:*"]])
def test_a_token_is_narrowed_to_actions_that_exist(world: World, actions: list[str]) -> None:
    assert api_of(world.eve).post(OWN, {"name": "ci", "actions": actions}).status_code == 422


def test_what_a_token_makes_is_no_wider(world: World) -> None:
    wide = made(api_of(world.alice), actions=["token:create", "token:revoke", "agent:read", "agent:invoke"])
    api = Api(wide["raw_token"])
    assert made(api)["actions"] == sorted(["token:create", "token:revoke", "agent:read", "agent:invoke"])
    assert made(api, actions=["agent:read"])["actions"] == ["agent:read"]
    assert api.post(OWN, {"name": "ci", "actions": ["agent:create"]}).status_code == 403
    assert api.post(OWN, {"name": "ci", "actions": ["agent:*"]}).status_code == 403


def test_what_a_token_makes_reaches_no_further(world: World) -> None:
    api = Api(make_token(world.bob, ou=world.engineering))
    assert made(api)["ou_path"] == "/acme/engineering"
    assert made(api, ou_id=str(world.platform.id))["ou_path"] == "/acme/engineering/platform"
    assert api.post(OWN, {"name": "ci", "ou_id": str(world.sales.id)}).status_code == 403
    assert api.post(OWN, {"name": "ci", "ou_id": str(world.root.id)}).status_code == 403


def test_what_a_token_makes_ends_with_it(world: World) -> None:
    soon = timezone.now() + timedelta(hours=1)
    first = made(api_of(world.eve), expires_at=soon.isoformat())
    second = made(Api(first["raw_token"]))
    third = made(Api(second["raw_token"]), expires_at=(soon + timedelta(days=1)).isoformat())
    assert datetime.fromisoformat(third["expires_at"]) == soon
    assert api_of(world.eve).delete(f"{OWN}/{first['id']}").status_code == 204
    assert is_dead(second["raw_token"])
    assert is_dead(third["raw_token"])


def test_some_actions_are_in_a_token_only_by_name(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.law.ONLY_BY_NAME", frozenset({"agent:invoke"}))
    monkeypatch.setattr("accounts.rbac.ONLY_BY_NAME", frozenset({"agent:invoke"}))
    unnamed = made(api_of(world.alice))["raw_token"]
    named = made(api_of(world.alice), actions=["agent:invoke"])["raw_token"]
    assert not may(actor(unnamed), "agent:invoke", world.root.path).allowed
    assert may(actor(unnamed), "agent:read", world.root.path).allowed
    assert may(actor(named), "agent:invoke", world.root.path).allowed
    assert Api(unnamed).post(OWN, {"name": "ci", "actions": ["agent:invoke"]}).status_code == 403
    assert "agent:invoke" not in made(api_of(world.alice), actions=["agent:*"])["actions"]
    assert "agent:invoke" in made(api_of(world.alice), actions=["agent:*", "agent:invoke"])["actions"]


def test_a_token_does_not_change_its_owners_password(world: World) -> None:
    body = {"current_password": "correct horse battery staple", "new_password": "a wholly different sentence"}
    assert Api(make_token(world.eve)).post("/me/password", body).status_code == 403


def test_a_disabled_owner_ends_its_tokens(world: World) -> None:
    token = made(api_of(world.eve))["raw_token"]
    api_of(world.alice).patch(f"/users/{world.eve.id}", {"is_active": False})
    assert is_dead(token)


def test_one_person_has_a_bounded_number_of_them(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("accounts.commands.tokens.MOST_LIVE", 2)
    api = api_of(world.eve)
    first = made(api)
    made(api)
    assert api.post(OWN, {"name": "ci"}).status_code == 422
    api.delete(f"{OWN}/{first['id']}")
    made(api)


# --- Of agents


def make_agent_principal(ou: OU, *, owner: Any = None) -> str:
    id_ = new_id()
    enroll(
        id_,
        kind=PrincipalKind.AGENT,
        organization_id=ou.organization_id,
        ref=f"agent:{ou.path}bot",
        acts_as=owner.id if owner else None,
    )
    return str(id_)


def test_a_service_agents_token_acts_with_the_agents_own_bindings(world: World) -> None:
    agent = make_agent_principal(world.platform)
    bind(AccessToken._meta.get_field("id").to_python(agent), "AgentOperator", world.platform)
    token = api_of(world.alice).post(f"/principals/{agent}/tokens", {"name": "bot"}).json()["raw_token"]
    found = actor(token)
    assert (found.kind, str(found.id), str(found.principal_id)) == ("agent", agent, agent)
    assert may(found, "agent:invoke", world.platform.path).allowed
    assert not may(found, "agent:create", world.platform.path).allowed
    assert Api(token).get("/me").json()["kind"] == "agent"


def test_a_user_agents_token_acts_with_its_owners_rights_while_the_owner_has_them(world: World) -> None:
    agent = make_agent_principal(world.platform, owner=world.eve)
    token = api_of(world.alice).post(f"/principals/{agent}/tokens", {"name": "bot"}).json()["raw_token"]
    assert may(actor(token), "agent:read", world.platform.path).allowed
    assert Api(token).post(OWN, {"name": "mine"}).json()["principal_id"] == agent, "never one of its owner"
    api_of(world.alice).patch(f"/users/{world.eve.id}", {"is_active": False})
    assert is_dead(token)


def test_whoever_makes_a_token_of_an_agent_holds_what_the_agent_holds(world: World) -> None:
    strong = make_agent_principal(world.platform)
    bind(AccessToken._meta.get_field("id").to_python(strong), "Auditor", world.platform)
    weak = make_agent_principal(world.platform)
    bob = api_of(world.bob)
    assert bob.post(f"/principals/{strong}/tokens", {"name": "bot"}).status_code == 403
    assert bob.post(f"/principals/{weak}/tokens", {"name": "bot"}).status_code == 201
    assert api_of(world.eve).post(f"/principals/{weak}/tokens", {"name": "bot"}).status_code == 403


def test_nobody_makes_a_token_of_another_person(world: World) -> None:
    other = make_user("other@acme.example", home=world.platform)
    assert api_of(world.alice).post(f"/principals/{other.id}/tokens", {"name": "x"}).status_code == 403
    assert api_of(world.alice).post(f"/principals/{world.mallory.id}/tokens", {"name": "x"}).status_code == 404


def test_an_admin_sees_and_revokes_tokens_of_its_people(world: World) -> None:
    token = made(api_of(world.eve))
    path = f"/principals/{world.eve.id}/tokens"
    assert [row["id"] for row in api_of(world.bob).get(path).json()] == [token["id"]]
    assert api_of(world.vera).get(path).status_code == 404
    assert api_of(world.vera).delete(f"{path}/{token['id']}").status_code == 404
    assert api_of(world.bob).delete(f"{path}/{token['id']}").status_code == 204
    assert is_dead(token["raw_token"])


def test_a_retired_agent_has_no_tokens(world: World) -> None:
    agent = make_agent_principal(world.platform)
    token = api_of(world.alice).post(f"/principals/{agent}/tokens", {"name": "bot"}).json()["raw_token"]
    retire([AccessToken._meta.get_field("id").to_python(agent)])
    assert is_dead(token)
    assert api_of(world.alice).post(f"/principals/{agent}/tokens", {"name": "bot"}).status_code == 404
