"""Why a control is switched off, what would change it, and how one asks for it."""

import re

import pytest
from django.test import Client

from accounts.models import Binding
from accounts.reasons import Reason
from agents.models import Agent
from approvals.models import ApprovalRequest
from tests.integration.console.conftest import queries
from tests.world import World, bind, console_of, make_group, make_user

pytestmark = pytest.mark.once

ABOUT = "?action=agent:invoke&ou=/acme/engineering"


@pytest.fixture
def eve(world: World) -> Client:
    return console_of(world.eve)


def words(page: bytes) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.decode()).split())


def test_a_control_that_is_switched_off_opens_its_reason(eve: Client, agent: Agent) -> None:
    page = eve.get(f"/agents/{agent.id}").content.decode()
    asked = "/organization/why?action=agent%3Ainvoke&amp;ou=%2Facme%2Fengineering"
    whys = set(re.findall(r'aria-disabled="true"[^>]*popovertarget="(why-[0-9a-f]{8})"', page))
    [why] = re.findall(rf'id="(why-[0-9a-f]{{8}})" popover hx-get="{re.escape(asked)}"', page)
    assert why in whys
    part = words(eve.get(asked.replace("&amp;", "&")).content)
    assert "Bind AgentOperator on /acme/engineering to user:eve@acme.example." in part
    assert "Ask user:bob@acme.example or user:alice@acme.example." in part
    assert "Request it" in part


def test_a_reason_is_text_and_nothing_when_nothing_stands_against_it() -> None:
    assert (Reason("no", "a:b", "/x"), bool(Reason("")), Reason("no").action) == ("no", False, "")


def test_the_page_names_the_facts_in_order_and_the_one_that_decided(world: World, alice: Client) -> None:
    leads = make_group(world.engineering, "leads", world.bob)
    bind(leads, "AgentOperator", world.root, decision="deny")
    page = alice.get(f"/organization/explain{ABOUT}&who=bob@acme.example").content
    assert re.search(
        r"Not allowed agent:invoke on /acme/engineering .* user:bob@acme.example speaks as .*"
        r"deny of AgentOperator to group:/acme/engineering/leads on /acme This decided\. .*"
        r"allow of OUAdmin .* End the deny of AgentOperator",
        words(page),
    )
    assert "Request it" not in words(page)
    assert "Allowed" in words(alice.get(f"/organization/explain{ABOUT}").content)


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 200, "Choose an action and an OU"),
        ("?action=agent:fly&ou=/acme", 422, "There is no such action."),
        ("?action=agent:read&ou=/zeta", 404, "Not found."),
        (f"{ABOUT}&who=mallory@zeta.example", 404, "Not found."),
        (f"{ABOUT}&who=bob@acme.example", 403, "access:explain"),
    ],
)
def test_what_cannot_be_answered_says_so_in_place(eve: Client, query: str, status: int, said: str) -> None:
    answer = eve.get(f"/organization/explain{query}")
    assert answer.status_code == status
    assert said in words(answer.content)


def test_an_agent_out_of_sight_is_answered_like_none(world: World, agent: Agent) -> None:
    here = f"/organization/explain{ABOUT}&who=agent:/acme/engineering"
    outside = console_of(make_user("outside@acme.example", home=world.sales))
    assert [outside.get(f"{here}/{name}").status_code for name in ("code-reviewer", "absent")] == [404, 404]
    assert console_of(world.eve).get(f"{here}/code-reviewer").status_code == 403


def test_more_people_cost_no_more_queries(world: World, alice: Client) -> None:
    few = queries(alice, f"/organization/explain{ABOUT}")
    for number in range(5):
        make_group(world.engineering, f"group-{number}")
    assert queries(alice, f"/organization/explain{ABOUT}") == few


def test_asking_opens_a_request_and_gives_nothing(world: World, eve: Client) -> None:
    form = eve.get(f"/access-requests/new{ABOUT}")
    [role] = re.findall(r'<option value="([^"]+)"[^>]*>AgentOperator', form.content.decode())
    body = {"role_id": role, "expires_in_seconds": "3600", "reason": "On call tonight."}
    answer = eve.post(f"/access-requests/new{ABOUT}", body)
    asked = ApprovalRequest.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/approvals/{asked.pk}")
    assert asked.justification == "On call tonight."
    assert Binding.objects.filter(principal_id=world.eve.id).count() == 1


def test_a_form_that_is_not_right_comes_back_with_what_was_typed(eve: Client) -> None:
    answer = eve.post(f"/access-requests/new{ABOUT}", {"role_id": "nonsense", "reason": "On call."})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert "On call." in page
    assert page.count('class="errors"') >= 2
