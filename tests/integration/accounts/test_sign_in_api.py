"""Signing in to the API: by password, and by name in development."""

import json
from typing import Any

import jwt
import pytest
from django.test import Client
from pytest_django import Settings

from accounts import attempts
from accounts.models import Sealed, User
from accounts.tokens import authenticate, sign_in_token
from powerloom.audit.models import Entry
from powerloom.kernel.keys import derived_key
from tests.world import PASSWORD, Api, World, api_of, make_organization, make_token, make_user, root_of


def sign_in(email: str, password: str, **headers: Any) -> Any:
    return Client().post(
        "/api/auth/token", {"email": email, "password": password}, content_type="application/json", **headers
    )


def by_name(
    email: str = "alice@acme.example", *, host: str = "127.0.0.1:8000", peer: str = "127.0.0.1", **more: Any
) -> Any:
    return Client().get("/api/auth/login", {"as": email}, HTTP_HOST=host, REMOTE_ADDR=peer, **more)


# --- By password


def test_the_right_password_opens_the_api(world: World) -> None:
    answer = sign_in("alice@acme.example", PASSWORD)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    token = answer.json()["access_token"]
    me = Client().get("/api/me", HTTP_AUTHORIZATION=f"Bearer {token}")
    assert me.json()["email"] == "alice@acme.example"


def test_the_case_of_an_email_does_not_matter(world: World) -> None:
    assert sign_in("Alice@ACME.example", PASSWORD).status_code == 200


def test_wrong_password_unknown_email_and_disabled_user_get_the_same_answer(world: World) -> None:
    world.eve.is_active = False
    world.eve.save()
    answers = [
        sign_in(email, password)
        for email, password in [
            ("alice@acme.example", "wrong horse battery"),
            ("nobody@acme.example", PASSWORD),
            ("eve@acme.example", PASSWORD),
        ]
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({json.dumps({**answer.json()["error"], "request_id": ""}) for answer in answers}) == 1


def test_an_unknown_email_costs_a_hashing_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    original = User.set_password

    def counted(user: User, password: str) -> None:
        hashed.append(password)
        original(user, password)

    monkeypatch.setattr(User, "set_password", counted)
    sign_in("nobody@acme.example", PASSWORD)
    assert hashed


def test_sign_ins_are_recorded_and_so_are_those_that_failed(world: World) -> None:
    sign_in("alice@acme.example", PASSWORD, REMOTE_ADDR="127.0.0.9")
    sign_in("alice@acme.example", "wrong horse battery", REMOTE_ADDR="127.0.0.9")
    entries = Entry.objects.filter(action="user:sign_in", chain_id=world.acme.id).order_by("seq")
    assert [(entry.decision, entry.target_id) for entry in entries] == [
        ("recorded", world.alice.id),
        ("denied", world.alice.id),
    ]
    assert all(json.loads(entry.body)["address"] == "127.0.0.9" for entry in entries)
    assert not any(PASSWORD in entry.body or "wrong horse" in entry.body for entry in entries)


def test_an_attempt_on_nobody_is_recorded_for_the_installation(world: World) -> None:
    sign_in("nobody@acme.example", "wrong horse battery")
    entry = Entry.objects.get(action="user:sign_in")
    assert entry.chain_id not in {world.acme.id, world.zeta.id}


def test_guessing_one_account_gets_slow_and_the_right_password_does_not_help(world: World) -> None:
    for _ in range(attempts.MOST_BY_PAIR):
        assert sign_in("alice@acme.example", "wrong horse battery").status_code == 401
    refused = sign_in("alice@acme.example", PASSWORD)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert sign_in("bob@acme.example", PASSWORD).status_code == 200, "another account from the same address"
    assert sign_in("alice@acme.example", PASSWORD, REMOTE_ADDR="127.0.0.7").status_code == 200, "from elsewhere"


def test_spraying_many_accounts_from_one_address_gets_slow(world: World) -> None:
    for number in range(attempts.MOST_BY_ADDRESS):
        sign_in(f"nobody{number}@acme.example", "wrong horse battery")
    assert sign_in("alice@acme.example", PASSWORD).status_code == 429


def test_guessing_one_account_from_many_addresses_gets_slow(world: World) -> None:
    for number in range(attempts.MOST_BY_EMAIL):
        sign_in("alice@acme.example", "wrong horse battery", REMOTE_ADDR=f"127.0.1.{number}")
    assert sign_in("alice@acme.example", PASSWORD, REMOTE_ADDR="127.0.2.1").status_code == 429


def test_signing_in_often_is_not_guessing(world: World) -> None:
    for _ in range(attempts.MOST_BY_PAIR * 2):
        assert sign_in("alice@acme.example", PASSWORD).status_code == 200


def test_an_operator_without_organization_has_no_api(world: World) -> None:
    operator = User(email="root@host.example", is_staff=True)
    operator.set_password(PASSWORD)
    operator.save()
    assert sign_in(operator.email, PASSWORD).status_code == 403
    assert authenticate(sign_in_token(operator), request_id="", address="") is None


# --- The access token


def changed(token: str, *, key: bytes | None = None, header: dict[str, str] | None = None, **claims: Any) -> str:
    head = jwt.get_unverified_header(token) | (header or {})
    body = jwt.decode(token, options={"verify_signature": False}) | claims
    return jwt.encode(body, key or derived_key("access_jwt"), algorithm=head.pop("alg"), headers=head)


def stands_for(token: str) -> bool:
    return authenticate(token, request_id="", address="") is not None


def test_only_our_own_kind_of_token_is_accepted(world: World) -> None:
    token = sign_in_token(world.alice)
    assert stands_for(changed(token))
    refused = {
        "another key": changed(token, key=b"k" * 32),
        "another type": changed(token, header={"typ": "JWT"}),
        "another key id": changed(token, header={"kid": "other"}),
        "another algorithm": changed(token, key=derived_key("access_jwt") * 2, header={"alg": "HS512"}),
        "no signature": token.rpartition(".")[0] + ".",
        "over": changed(token, exp=1),
        "another audience": changed(token, aud="elsewhere"),
        "another issuer": changed(token, iss="elsewhere"),
        "no user": changed(token, sub="not a uuid"),
        "not a token": "x",
    }
    assert [name for name, bad in refused.items() if stands_for(bad)] == []


def test_a_new_password_ends_the_sign_ins_before_it(world: World) -> None:
    before = sign_in_token(world.alice)
    body = {"current_password": PASSWORD, "new_password": "a wholly different sentence"}
    assert api_of(world.alice).post("/me/password", body).status_code == 204
    assert not stands_for(before)
    assert sign_in("alice@acme.example", "a wholly different sentence").status_code == 200


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [("not it", "a wholly different sentence", "current_password"), (PASSWORD, "short", "new_password")],
)
def test_a_password_is_changed_only_to_a_good_one_and_by_who_knows_it(
    world: World, current: str, new: str, field: str
) -> None:
    answer = api_of(world.alice).post("/me/password", {"current_password": current, "new_password": new})
    assert answer.status_code == 422
    assert answer.json()["error"]["detail"]["field"] == field


def test_a_token_never_gives_its_owner_a_password(world: World) -> None:
    narrow = Api(make_token(world.alice, actions=["user:set_password"]))
    assert narrow.post(f"/users/{world.alice.id}/password").status_code == 403
    assert sign_in("alice@acme.example", PASSWORD).status_code == 200


def test_a_disabled_user_is_out_at_once(world: World) -> None:
    token = sign_in_token(world.eve)
    assert api_of(world.alice).patch(f"/users/{world.eve.id}", {"is_active": False}).status_code == 200
    assert not stands_for(token)


# --- By name, in development only


@pytest.fixture
def dev_mode(settings: Settings) -> None:
    settings.DEV_MODE = True
    settings.ALLOWED_HOSTS = ["*"]  # so that a refusal is the door's own


def test_by_name_on_this_machine(world: World, dev_mode: None) -> None:
    for host in ("localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000"):
        answer = by_name(host=host)
        assert answer.status_code == 200
        assert stands_for(answer.json()["tokens"]["access_token"])
    assert by_name(peer="::1").status_code == 200
    assert by_name(HTTP_SEC_FETCH_SITE="same-origin", HTTP_ORIGIN="http://127.0.0.1:8000").status_code == 200
    assert Entry.objects.filter(action="user:sign_in").count() == 6


@pytest.mark.parametrize(
    "request_",
    [
        {"host": "evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "127.0.0.1.nip.io"},
        {"host": "0.0.0.0:8000"},
        {"host": "127.0.0.2"},
        {"host": "[::]"},
        {"peer": "192.0.2.1"},
        {"peer": ""},
        {"HTTP_X_FORWARDED_FOR": "127.0.0.1"},
        {"HTTP_X_FORWARDED_HOST": "localhost"},
        {"HTTP_X_FORWARDED_PROTO": "http"},
        {"HTTP_FORWARDED": "for=127.0.0.1"},
        {"HTTP_X_REAL_IP": "127.0.0.1"},
        {"HTTP_VIA": "1.1 proxy"},
        {"HTTP_ORIGIN": "http://evil.example"},
        {"HTTP_ORIGIN": "http://localhost:3000"},
        {"HTTP_ORIGIN": "null"},
        {"HTTP_SEC_FETCH_SITE": "cross-site"},
        {"HTTP_SEC_FETCH_SITE": "same-site"},
        {"email": "nobody@acme.example"},
    ],
)
def test_from_anywhere_else_the_door_does_not_exist(world: World, dev_mode: None, request_: dict[str, str]) -> None:
    assert by_name(**request_).status_code == 404


def test_outside_development_the_door_does_not_exist(world: World) -> None:
    assert by_name().status_code == 404


def test_nobody_is_signed_in_by_name_who_is_disabled_or_has_no_organization(world: World, dev_mode: None) -> None:
    make_user("gone@acme.example", home=world.root, is_active=False)
    User.objects.create(email="root@host.example", is_staff=True)
    assert by_name("gone@acme.example").status_code == 404
    assert by_name("root@host.example").status_code == 404


def test_a_cookie_never_opens_the_api(world: World) -> None:
    client = Client()
    client.force_login(world.alice)
    answer = client.get("/api/me")
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "unauthenticated"


def test_an_email_belongs_to_one_person_whatever_its_case(world: World) -> None:
    make_organization("third")
    root = root_of(world.acme)
    answer = api_of(world.alice).post("/users", {"email": "MALLORY@zeta.example", "home_ou_id": str(root.id)})
    assert answer.status_code == 409


def test_ones_own_password_is_not_changed_around_the_current_one(world: World) -> None:
    answer = api_of(world.alice).post(f"/users/{world.alice.id}/password")
    assert answer.status_code == 422
    assert "/me/password" in answer.json()["error"]["message"]


def test_whoever_may_not_give_a_password_costs_no_hashing(world: World) -> None:
    assert api_of(world.eve).post(f"/users/{world.bob.id}/password").status_code == 403
    assert not Sealed.objects.exists()
