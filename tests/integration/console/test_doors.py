"""Who gets in: only a console session, only one's own organization, only with the right, only from our own pages."""

import html
import json
import re

import pytest
from django.test import Client
from django.urls import reverse

from agents.models import Agent
from powerloom.kernel.ids import new_id
from sessions.models import AgentSession
from tests.world import World, api_of, console_of, make_token

PAGES = ["console:home", "console:audit", "agents:list", "sessions:list", "accounts:scopes"]


@pytest.mark.parametrize("name", PAGES)
def test_who_is_not_signed_in_is_asked_to(db: None, name: str) -> None:
    answer = Client().get(reverse(name))
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/sign-in?next={reverse(name)}")


def test_a_part_of_a_page_sends_the_whole_browser_to_the_sign_in(db: None) -> None:
    answer = Client().get("/agents", headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"].startswith("/sign-in")


@pytest.mark.parametrize("name", PAGES)
def test_a_bearer_never_opens_the_console(world: World, name: str) -> None:
    answer = Client().get(reverse(name), headers={"Authorization": f"Bearer {make_token(world.alice)}"})
    assert answer.status_code == 302


def test_a_cookie_never_authenticates_the_api(world: World) -> None:
    assert console_of(world.alice).get("/api/agents").status_code == 401
    assert api_of(world.alice).get("/agents").status_code == 200


def test_another_tenants_things_look_like_nothing_at_all(world: World, agent: Agent, session: AgentSession) -> None:
    mallory = console_of(world.mallory)
    for view, foreign in [("agents:detail", agent.id), ("agents:state", agent.id), ("sessions:detail", session.id)]:
        there = mallory.get(reverse(view, args=[foreign]))
        absent = mallory.get(reverse(view, args=[new_id()]))
        assert (there.status_code, absent.status_code) == (404, 404)
        assert without_request_id(there.content) == without_request_id(absent.content)


def without_request_id(body: bytes) -> str:
    page = re.sub(r"req_[0-9a-f]{32}", "REQUEST", body.decode())
    return re.sub(r'value="[A-Za-z0-9]{64}"', 'value="CSRF"', page)


def test_a_missing_right_is_named(world: World, agent: Agent) -> None:
    answer = console_of(world.eve).post(f"/agents/{agent.id}/reset-sync")
    assert answer.status_code == 403
    assert "agent:reset_sync" in answer.content.decode()
    assert "/acme/engineering" in answer.content.decode()


def test_a_refusal_of_a_part_is_a_toast(world: World, agent: Agent) -> None:
    answer = console_of(world.eve).post(f"/agents/{agent.id}/reset-sync", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.headers["HX-Retarget"]) == (403, "#toasts")


def test_what_one_may_not_do_says_why_beside_its_button(world: World, agent: Agent) -> None:
    page = console_of(world.eve).get(f"/agents/{agent.id}").content.decode()
    [button] = re.findall(r"<button[^>]*>(?:(?!</button>).)*Invoke</button>", page)
    assert 'aria-disabled="true"' in button
    assert "agent:invoke" in button


@pytest.mark.parametrize("act", ["message", "interrupt", "close", "delete", "rename", "confirm"])
def test_a_form_from_another_site_does_nothing(world: World, session: AgentSession, act: str) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(world.bob)
    answer = browser.post(f"/sessions/{session.id}/{act}", {"text": "x", "title": "x"})
    assert answer.status_code == 403
    assert "came from another site" in answer.content.decode()


@pytest.mark.parametrize("path", ["/", "/agents", "/sessions", "/audit", "/sign-in", "/nothing-here"])
def test_every_page_forbids_inline_code_and_other_origins(alice: Client, path: str) -> None:
    policy = (alice if path != "/sign-in" else Client()).get(path).headers["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "unsafe" not in policy


def test_a_page_stays_in_no_cache(alice: Client) -> None:
    assert alice.get("/agents").headers["Cache-Control"] == "no-store"


def test_signing_out_takes_a_post(alice: Client) -> None:
    assert alice.get("/sign-out").status_code == 405
    assert alice.post("/sign-out").status_code == 302
    assert alice.get("/agents").status_code == 302


def test_a_scope_leads_only_to_a_page_of_this_console(alice: Client) -> None:
    for room in ["javascript:alert(1)", "https://evil.example/", "//evil.example", "/\\evil.example"]:
        assert alice.get("/scopes", {"room": room}).status_code == 422
    assert 'href="/agents?ou=/acme/sales"' in alice.get("/scopes", {"room": "/agents"}).content.decode()


def test_htmx_may_do_only_what_a_fragment_needs(alice: Client) -> None:
    page = alice.get("/agents").content.decode()
    [config] = re.findall(r'<meta name="htmx-config" content="([^"]+)">', page)
    given = json.loads(html.unescape(config))
    assert (given["allowEval"], given["allowScriptTags"], given["selfRequestsOnly"]) == (False, False, True)
    assert (given["historyCacheSize"], given["includeIndicatorStyles"]) == (0, False)
    assert page.index("htmx-config") < page.index("vendor/htmx")
