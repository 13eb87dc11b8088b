"""Signing in: recorded, slowed down when somebody guesses, and never a way to another site."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.attempts import MOST_BY_PAIR, WINDOW
from powerloom.audit.models import DenialWindow, Entry
from tests.world import PASSWORD, World


def sign_in(email: str, password: str, *, following: str = "/", address: str = "127.0.0.1") -> tuple[int, str, Client]:
    browser = Client(REMOTE_ADDR=address)
    answer = browser.post("/sign-in", {"username": email, "password": password, "next": following})
    return answer.status_code, answer.headers.get("Location", answer.content.decode()), browser


def test_it_opens_the_console_and_leaves_an_entry(world: World) -> None:
    status, target, browser = sign_in("alice@acme.example", PASSWORD, following="/agents")
    assert (status, target) == (302, "/agents")
    assert browser.get("/agents").status_code == 200
    entry = Entry.objects.get(action="user:sign_in")
    assert (entry.chain_id, entry.actor_ref) == (world.acme.id, "user:alice@acme.example")


def test_a_wrong_password_and_an_unknown_person_read_the_same(world: World) -> None:
    first = sign_in("alice@acme.example", "wrong")[:2]
    second = sign_in("nobody@acme.example", "wrong")[:2]
    assert first[0] == second[0] == 422
    assert "do not fit together" in first[1]
    assert "do not fit together" in second[1]


def test_a_disabled_person_stays_outside(world: World) -> None:
    browser = sign_in("alice@acme.example", PASSWORD)[2]
    world.alice.is_active = False
    world.alice.save(update_fields=["is_active"])
    assert browser.get("/agents").status_code == 302
    assert sign_in("alice@acme.example", PASSWORD)[0] == 422


def test_guessing_ends_even_the_right_guess(world: World) -> None:
    for _ in range(MOST_BY_PAIR):
        assert sign_in("alice@acme.example", "wrong")[0] == 422
    assert sign_in("alice@acme.example", PASSWORD)[0] == 429
    assert sign_in("alice@acme.example", PASSWORD, address="127.0.0.9")[0] == 302


def test_after_a_quarter_of_an_hour_one_may_try_again(world: World) -> None:
    for _ in range(MOST_BY_PAIR):
        sign_in("alice@acme.example", "wrong")
    DenialWindow.objects.update(minute=timezone.now() - WINDOW - timedelta(minutes=1))
    assert sign_in("alice@acme.example", PASSWORD)[0] == 302


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_it_never_leads_to_another_site(world: World, target: str) -> None:
    assert sign_in("alice@acme.example", PASSWORD, following=target)[1] == "/"


def test_one_click_signs_in_during_development_at_home(world: World, settings: Settings) -> None:
    settings.DEV_MODE = True
    browser = Client(HTTP_HOST="localhost:8000")
    assert "alice@acme.example" in browser.get("/sign-in").content.decode()
    answer = browser.post("/sign-in/by-name", {"email": "alice@acme.example", "next": "/agents"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/agents")
    assert browser.get("/agents").status_code == 200
    assert Entry.objects.filter(action="user:sign_in", actor_ref="user:alice@acme.example").count() == 1


@pytest.mark.parametrize(
    ("dev", "headers"),
    [
        (False, {}),
        (True, {"Host": "powerloom.example"}),
        (True, {"X-Forwarded-For": "127.0.0.1"}),
        (True, {"Origin": "http://evil.example"}),
        (True, {"Sec-Fetch-Site": "cross-site"}),
    ],
)
def test_elsewhere_the_one_click_door_does_not_exist(
    world: World, settings: Settings, dev: bool, headers: dict[str, str]
) -> None:
    settings.DEV_MODE = dev
    settings.ALLOWED_HOSTS = ["*"]
    browser = Client(HTTP_HOST=headers.pop("Host", "localhost:8000"))
    assert "alice@acme.example" not in browser.get("/sign-in", headers=headers).content.decode()
    assert browser.post("/sign-in/by-name", {"email": "alice@acme.example"}, headers=headers).status_code == 404
    assert browser.get("/agents").status_code == 302


def test_from_another_address_the_one_click_door_does_not_exist(world: World, settings: Settings) -> None:
    settings.DEV_MODE = True
    browser = Client(HTTP_HOST="localhost:8000", REMOTE_ADDR="10.0.0.7")
    assert browser.post("/sign-in/by-name", {"email": "alice@acme.example"}).status_code == 404


def test_one_click_never_leads_to_another_site(world: World, settings: Settings) -> None:
    settings.DEV_MODE = True
    browser = Client(HTTP_HOST="localhost:8000")
    form = {"email": "alice@acme.example", "next": "https://evil.example/"}
    assert browser.post("/sign-in/by-name", form).headers["Location"] == "/"
