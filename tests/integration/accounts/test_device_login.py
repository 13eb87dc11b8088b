"""Signing in a program through a browser: a code is shown, a person confirms it, a token of that person is fetched."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts import devices
from accounts.devices import LONGEST_INTERVAL, MOST_ASKED, MOST_TRIED
from accounts.models import AccessToken, DeviceLogin
from powerloom.audit.models import Entry
from tests.integration.test_canaries import where_found
from tests.world import Api, World, api_of, console_of

GRANT = "urn:ietf:params:oauth:grant-type:device_code"


def ask(**fields: str) -> Any:
    return Client().post("/api/auth/device", {"client_id": "weave", "client_name": "weave on loom", **fields})


def fetch(device_code: str, **fields: str) -> Any:
    return Client().post("/api/auth/device/token", {"grant_type": GRANT, "device_code": device_code, **fields})


def wait() -> None:
    """Move the clock to the program's next look."""
    DeviceLogin.objects.update(next_look_at=timezone.now())


def decide(browser: Client, user_code: str, verdict: str = "approve", **fields: Any) -> Any:
    form = {"name": "my laptop", "actions": "", "ou": "", "days": 30, "user_code": user_code, "verdict": verdict}
    return browser.post("/device/decide", {**form, **fields})


def error_of(answer: Any) -> str:
    assert answer.status_code == 400, answer.content
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json().keys() == {"error", "error_description"}
    return str(answer.json()["error"])


def test_who_confirms_the_code_is_who_the_program_acts_as(world: World) -> None:
    asked = ask().json()
    assert asked["verification_uri"] == "http://testserver/device"
    assert (asked["expires_in"], asked["interval"]) == (600, 5)
    assert error_of(fetch(asked["device_code"])) == "authorization_pending"
    page = console_of(world.bob).get(asked["verification_uri_complete"]).content.decode()
    assert "weave on loom" in page
    assert asked["user_code"] in page
    assert not AccessToken.objects.exists()

    assert decide(console_of(world.bob), asked["user_code"].lower().replace("-", " ")).status_code == 302
    wait()
    answer = fetch(asked["device_code"])
    assert answer.status_code == 200, answer.content
    token = answer.json()
    assert Api(token["access_token"]).get("/me").json()["email"] == world.bob.email
    listed = api_of(world.bob).get("/users/me/personal-access-tokens").json()
    assert [(row["id"], row["name"], row["actions"]) for row in listed] == [(token["token_id"], "my laptop", None)]
    made = Entry.objects.filter(chain_id=world.acme.id).order_by("seq").values_list("action", "actor_ref")
    assert list(made) == [("user:sign_in", world.bob.ref), ("token:create", world.bob.ref)]

    wait()
    assert error_of(fetch(asked["device_code"])) == "invalid_grant"
    assert AccessToken.objects.count() == 1


def test_what_the_program_asked_for_may_be_narrowed_and_what_is_wrong_is_said(world: World) -> None:
    browser, asked = console_of(world.alice), ask(scope="agent:read agent:invoke").json()
    assert "agent:read agent:invoke" in browser.get(f"/device?user_code={asked['user_code']}").content.decode()
    for wrong, words in (({"actions": "agent:fly"}, "no action agent:fly"), ({"days": 900}, "366"), ({"name": ""}, "")):
        answer = decide(browser, asked["user_code"], **wrong)
        assert answer.status_code == 422
        assert words in answer.content.decode()
    decide(browser, asked["user_code"], actions="agent:read", ou="/acme/sales/", days=1)
    token = fetch(asked["device_code"]).json()
    assert token["scope"] == "agent:read"
    assert 86_000 < token["expires_in"] <= 86_400
    assert AccessToken.objects.get().ou == world.sales
    group = {"name": "x", "display_name": "X", "ou_id": str(world.sales.id)}
    assert Api(token["access_token"]).post("/groups", group).status_code == 403


def test_what_is_given_by_name_alone_is_given_beside_everything_else(world: World) -> None:
    asked = ask(scope="* approval:decide").json()
    decide(console_of(world.vera), asked["user_code"], actions="* approval:decide")
    scope = set(fetch(asked["device_code"]).json()["scope"].split())
    assert {"agent:create", "approval:decide"} <= scope
    assert "credential:reveal" not in scope
    for unnamed in ("*", "approval:*"):
        asked = ask(scope=unnamed).json()
        decide(console_of(world.vera), asked["user_code"], actions=unnamed)
        scope = set(fetch(asked["device_code"]).json()["scope"].split())
        assert "approval:read" in scope
        assert not {"approval:decide", "credential:reveal"} & scope


def test_a_no_an_end_and_a_changed_person_give_nothing(world: World) -> None:
    denied, late, gone = (ask().json() for _ in range(3))
    decide(console_of(world.alice), denied["user_code"], verdict="deny")
    assert error_of(fetch(denied["device_code"])) == "access_denied"
    decide(console_of(world.bob), gone["user_code"])
    world.bob.set_password("another horse battery staple")
    world.bob.save()
    assert error_of(fetch(gone["device_code"])) == "access_denied"
    DeviceLogin.objects.filter(status="pending").update(expires_at=timezone.now())
    assert decide(console_of(world.alice), late["user_code"]).status_code == 404
    assert error_of(fetch(late["device_code"])) == "expired_token"
    assert not AccessToken.objects.exists()
    DeviceLogin.objects.update(expires_at=timezone.now() - timedelta(days=2))
    assert devices.sweep() == 3


def test_only_a_person_in_the_console_confirms_and_only_by_a_form_of_ours(world: World) -> None:
    asked = ask().json()
    assert decide(Client(), asked["user_code"]).headers["Location"].startswith("/sign-in?next=")
    foreign = Client(enforce_csrf_checks=True)
    foreign.force_login(world.alice)
    assert decide(foreign, asked["user_code"]).status_code == 403
    browser = console_of(world.alice)
    assert browser.get(f"/device?user_code={asked['user_code']}").status_code == 200
    assert browser.get("/device/decide").status_code == 405
    assert browser.get("/device?user_code=BCDF-GHJK").status_code == 404
    assert "Type it here" in browser.get("/device").content.decode()
    assert DeviceLogin.objects.get().status == "pending"


def test_a_program_that_looks_too_often_is_slowed_down(world: World) -> None:
    asked = ask().json()
    assert [error_of(fetch(asked["device_code"])) for _ in range(2)] == ["authorization_pending", "slow_down"]
    assert DeviceLogin.objects.get().interval == 10
    decide(console_of(world.alice), asked["user_code"])
    assert error_of(fetch(asked["device_code"])) == "slow_down"
    DeviceLogin.objects.update(interval=LONGEST_INTERVAL)
    assert error_of(fetch(asked["device_code"])) == "slow_down"
    assert DeviceLogin.objects.get().interval == LONGEST_INTERVAL
    wait()
    assert fetch(asked["device_code"]).status_code == 200


def test_asking_and_guessing_are_limited(world: World) -> None:
    assert {ask().status_code for _ in range(MOST_ASKED)} == {200}
    assert ask().status_code == 429
    browser = console_of(world.alice)
    guesses = [browser.get(f"/device?user_code=BCDFGHJ{letter}").status_code for letter in "B" * MOST_TRIED]
    assert set(guesses) == {404}
    assert browser.get("/device?user_code=BCDFGHJK").status_code == 429


@pytest.mark.parametrize(
    ("path", "fields", "error"),
    [
        ("", {}, "invalid_request"),
        ("", {"client_id": "weave", "scope": "a " * 201}, "invalid_scope"),
        ("/token", {"grant_type": "password"}, "unsupported_grant_type"),
        ("/token", {"grant_type": GRANT}, "invalid_request"),
        ("/token", {"grant_type": GRANT, "device_code": "unknown"}, "invalid_grant"),
    ],
)
def test_what_is_no_good_request_is_refused_as_oauth_says(
    world: World, path: str, fields: dict[str, str], error: str
) -> None:
    assert error_of(Client().post(f"/api/auth/device{path}", fields)) == error


def test_neither_code_nor_token_is_kept(world: World) -> None:
    asked = ask().json()
    decide(console_of(world.alice), asked["user_code"])
    token = fetch(asked["device_code"]).json()["access_token"]
    for secret in (asked["device_code"], asked["user_code"].replace("-", ""), asked["user_code"], token):
        assert where_found(secret) == set()


def test_on_a_host_of_the_api_alone_the_page_is_where_the_console_is(world: World, settings: Settings) -> None:
    settings.API_HOSTS = ["api.acme.example"]
    settings.ALLOWED_HOSTS = ["api.acme.example"]
    settings.PUBLIC_URL = "https://console.acme.example"
    asked = Client(headers={"host": "api.acme.example"}).post("/auth/device", {"client_id": "weave"}).json()
    assert asked["verification_uri"] == "https://console.acme.example/device"
