"""A policy holds a set as one request, told for each resource; applying it piece by piece is no way around."""

import pytest

from agents.models import Agent
from approvals.models import ApprovalPolicy, ApprovalRequest
from tests.held import make_policy
from tests.integration.manifests.sending import send
from tests.world import World, api_of

PLACE = "/acme/engineering"
AGENT = f"""
kind: Agent
metadata: {{name: reviewer, ou_path: {PLACE}}}
spec: {{model: claude-sonnet-4-6, system_prompt: Be brief., owner_principal_ref: "user:alice@acme.example"}}
"""
SKILL = f"kind: Skill\nmetadata: {{name: lint, ou_path: {PLACE}}}\n"
ATTACHED = f"kind: AgentSkill\nmetadata: {{agent_path: {PLACE}/reviewer, skill_path: {PLACE}/lint}}\n"
NO_POLICY = f"kind: ApprovalPolicy\nmetadata: {{name: gate, scope_ou_path: {PLACE}}}\nspec: {{is_on: false}}\n"


@pytest.mark.parametrize("how", ["", "?best_effort=true"])
def test_a_set_that_ends_the_policy_is_held_by_it_together_and_apart(world: World, how: str) -> None:
    make_policy(world.alice, world.engineering)
    api = api_of(world.alice)
    answer = send(api, "apply", f"{NO_POLICY}---\n{AGENT}", how)
    assert answer.status_code == (200 if how else 202), answer.content
    assert {row["status"] for row in answer.json()["resources"]} == {"held"}
    assert ApprovalPolicy.objects.get().is_on
    assert not Agent.objects.exists()
    assert ApprovalRequest.objects.count() == (2 if how else 1)


@pytest.mark.parametrize("order", [[NO_POLICY, AGENT], [AGENT, NO_POLICY]])
def test_a_plan_says_of_each_that_it_is_held(world: World, order: list[str]) -> None:
    make_policy(world.alice, world.engineering)
    planned = send(api_of(world.alice), "plan", "---\n".join(order)).json()
    assert {row["kind"]: (row["act"], row["verb"]) for row in planned["resources"]} == {
        "ApprovalPolicy": ("update", "held"),
        "Agent": ("create", "held"),
    }
    assert planned["held_by"] == ["gate"]


def test_piece_by_piece_what_is_held_holds_up_what_rests_on_it_alone(world: World) -> None:
    make_policy(world.alice, world.engineering)
    text = f"{ATTACHED}---\n{SKILL}---\n{AGENT}".replace("alice@", "bob@")
    answer = send(api_of(world.bob), "apply", text, "?best_effort=true").json()
    rows = {row["kind"]: row for row in answer["resources"]}
    assert {kind: row["status"] for kind, row in rows.items()} == {
        "Skill": "applied",
        "Agent": "held",
        "AgentSkill": "failed",
    }
    assert rows["AgentSkill"]["why"] == f"It rests on {PLACE}/reviewer, which was not made."
    assert rows["Agent"]["request"]["id"] == str(ApprovalRequest.objects.get().id)
