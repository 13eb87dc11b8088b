"""Taking away what a manifest names: one set, what rests on others first; what is not there is left alone."""

from typing import Any

from accounts.models import OU
from agents.models import Agent, MCPDeployment
from powerloom.audit.models import Entry
from tests.integration.manifests.sending import PILOTS, UNGATED, send
from tests.world import World, api_of


def test_everything_that_was_applied_is_taken_away_as_one_set(world: World) -> None:
    api = api_of(world.alice)
    send(api, "apply", UNGATED)
    foretold = send(api, "destroy", UNGATED, "?dry_run=true").json()
    assert foretold["summary"] == {"delete": 8}, foretold
    assert Agent.objects.filter(archived_at__isnull=True).exists()
    before = Entry.objects.count()

    done = send(api, "destroy", UNGATED)
    assert done.status_code == 200, done.content
    assert {row["status"] for row in done.json()["resources"]} == {"applied"}
    assert not OU.objects.filter(name="pilots", archived_at__isnull=True).exists()
    assert not MCPDeployment.objects.filter(archived_at__isnull=True).exists()
    assert len(set(Entry.objects.order_by("seq")[before:].values_list("set_id", flat=True))) == 1

    again = send(api, "destroy", UNGATED).json()
    assert {row["status"] for row in again["resources"]} == {"noop"}
    assert {row["why"] for row in again["resources"]} == {"It is not there, or you cannot see it."}


def test_a_policy_guards_itself_and_holds_the_whole_set(world: World) -> None:
    api = api_of(world.alice)
    send(api, "apply", PILOTS)
    foretold = send(api, "destroy", PILOTS, "?dry_run=true").json()
    assert foretold["summary"] == {"delete": 7, "held": 2}, foretold
    held = {row["kind"]: row for row in foretold["resources"] if row["verb"] == "held"}
    assert held.keys() == {"Agent", "ApprovalPolicy"}
    assert held["Agent"]["why"] == "Held by pilot-gate: this delete waits for approval."
    assert held["Agent"]["explain"]["decided_by"] == "the policy pilot-gate holds it"
    answer = send(api, "destroy", PILOTS)
    assert (answer.status_code, {row["status"] for row in answer.json()["resources"]}) == (202, {"held"})
    assert OU.objects.filter(name="pilots", archived_at__isnull=True).exists()


def test_what_others_rest_on_stays_and_says_why(world: World) -> None:
    api = api_of(world.alice)
    send(api, "apply", PILOTS)
    only: Any = "kind: OU\nmetadata: {name: pilots, parent_ou_path: /acme/engineering}"
    answer = send(api, "destroy", only)
    assert answer.status_code == 422
    assert "still has" in answer.json()["error"]["message"]
    assert OU.objects.filter(name="pilots", archived_at__isnull=True).exists()


def test_whoever_may_not_is_denied_and_told_why(world: World) -> None:
    send(api_of(world.alice), "apply", PILOTS)
    (row,) = send(
        api_of(world.eve),
        "destroy",
        "kind: Agent\nmetadata: {name: reviewer, ou_path: /acme/engineering/pilots}",
        "?dry_run=true",
    ).json()["resources"]
    assert (row["verb"], row["act"]) == ("denied", "delete")
    assert "agent:archive" in row["why"]
    assert row["explain"]["decided_by"]
