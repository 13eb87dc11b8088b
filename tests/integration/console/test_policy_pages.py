"""The room of policies: what each holds, making and changing one in its form, and the tester."""

import pytest
from django.test import Client

from approvals.models import ApprovalPolicy
from tests.held import ask_for_agent, builtin, held_agent, make_policy
from tests.integration.console.conftest import queries
from tests.standing import standing
from tests.world import World, console_of

pytestmark = pytest.mark.once

NEW = "/approvals/policies/new"


@standing
def form(world: World) -> dict[str, str]:
    """A policy as somebody would write it."""
    return {
        "name": "agents-wait",
        "scope": "/acme/engineering",
        "action_pattern": "agent:*",
        "condition": 'resource.model.startsWith("claude-opus")',
        "approver": f"role:{builtin('Approver')}",
        "quorum": "1",
        "time": "2",
        "unit": "3600",
        "is_on": "on",
    }


def test_a_policy_is_made_in_its_form_read_changed_and_ended(world: World, alice: Client, form: dict[str, str]) -> None:
    there = alice.post(NEW, form).headers["Location"]
    shown = alice.get(there).content.decode()
    for said in ("agents-wait", "/acme/engineering", "agent:*", "1 of Approver", "2 h", "Switch off", "Try it"):
        assert said in shown
    listed = alice.get("/approvals/policies?state=on&q=agents").content.decode()
    assert "agents-wait" in listed
    assert "No policy matches" in alice.get("/approvals/policies?state=off").content.decode()
    assert 'value="3600" selected' in alice.get(f"{there}/edit").content.decode()
    assert alice.post(f"{there}/switch-off", {"reason": "the release"}).headers["Location"] == there
    changed = form | {"condition": "", "generation": "2"}
    assert alice.post(f"{there}/edit", changed).headers["Location"] == there
    policy = ApprovalPolicy.objects.get()
    assert (policy.condition, policy.ttl_seconds, policy.is_on) == ("", 7200, True)
    assert alice.post(f"{there}/delete").status_code == 302, "nobody else guards it: it is held by itself"
    assert ApprovalPolicy.objects.filter(archived_at__isnull=True).count() == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"scope": "/acme/nowhere"}, "There is no OU of this path"),
        ({"action_pattern": "agent:fly"}, "No action matches agent:fly"),
        ({"condition": "resource.model =="}, "This is not CEL"),
        ({"quorum": "20"}, "Nobody could approve this"),
        ({"name": "Not A Name"}, "String should match pattern"),
        ({"time": "900", "unit": "86400"}, "less than or equal to"),
    ],
)
def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_lost(
    alice: Client, form: dict[str, str], wrong: dict[str, str], words: str
) -> None:
    answer = alice.post(NEW, form | wrong, headers={"HX-Request": "true"})
    assert answer.status_code == 422
    shown = answer.content.decode()
    assert words in shown
    assert [
        f'id="id_{name}_error"' in shown for name in ("scope", "action_pattern", "condition", "quorum", "name", "time")
    ].count(True) == 1
    assert "agent" in shown


def test_a_change_on_top_of_somebody_elses_is_refused_in_the_form(
    world: World, alice: Client, form: dict[str, str]
) -> None:
    there = alice.post(NEW, form | {"is_on": ""}).headers["Location"]
    answer = alice.post(f"{there}/edit", form | {"generation": "0"}, headers={"HX-Request": "true"})
    assert answer.status_code == 409
    assert "was changed meanwhile" in answer.content.decode()


def test_the_tester_says_which_part_decides_and_what_the_past_would_have_been(
    world: World, alice: Client, form: dict[str, str]
) -> None:
    assert ask_for_agent(world.bob, world.engineering).status_code == 201
    sample = {"sample_action": "agent:create", "sample": '{"resource": {"model": "claude-haiku-4-5"}}'}
    shown = alice.post("/approvals/policies/try", form | sample).content.decode()
    assert "It would pass." in shown
    assert shown.count("Does not match") == 1
    assert "Would have held 0 of 1 change" in shown
    shown = alice.post("/approvals/policies/try", form | {"condition": ""}).content.decode()
    assert "Would have held 1 of 1 change" in shown
    assert "agent:create <bdi>code-reviewer</bdi>" in shown
    policy = make_policy(world.alice, world.sales)
    shown = alice.post("/approvals/policies/try", {"policy_id": str(policy.pk), **sample}).content.decode()
    assert "It would be held." in shown
    wrong = alice.post("/approvals/policies/try", form | {"sample_action": "agent:create", "sample": "{"})
    assert (wrong.status_code, wrong.headers["HX-Retarget"]) == (422, "#try")
    assert "This is not a JSON object" in wrong.content.decode()


def test_what_one_may_not_do_to_a_policy_says_why(world: World) -> None:
    policy = make_policy(world.alice, world.engineering)
    shown = console_of(world.vera).get(f"/approvals/policies/{policy.pk}").content.decode()
    for needed in ("approval_policy:update", "approval_policy:archive", "approval_policy:switch_off"):
        assert needed in shown
    assert 'hx-post="/approvals/policies/' + str(policy.pk) not in shown.split("<dialog", maxsplit=1)[0]
    assert "New policy" in console_of(world.eve).get("/approvals/policies").content.decode()


def test_the_list_costs_the_same_however_long_it_is(world: World, alice: Client) -> None:
    make_policy(world.alice, world.engineering)
    held_agent(world.bob, world.engineering)
    few = queries(alice, "/approvals/policies")
    for number in range(5):
        make_policy(world.alice, world.sales, name=f"more-{number}")
    assert queries(alice, "/approvals/policies") == few
    assert ">1</td>" in alice.get("/approvals/policies").content.decode(), "how many wait for it"
