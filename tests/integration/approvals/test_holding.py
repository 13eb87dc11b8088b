"""What a policy holds, what a held write answers, and what it leaves behind: nothing but the request."""

import json

import pytest
from pytest_django import Settings

from agents.models import Agent
from approvals.models import ApprovalRequest
from powerloom.audit.models import Entry
from tests.declared import attach, make_agent, make_skill, make_version
from tests.held import agent_named, ask_for_agent, held_agent, make_policy
from tests.refusals import code
from tests.world import World, api_of, make_token


def test_a_matching_write_waits_and_changes_nothing(world: World) -> None:
    make_policy(world.alice, world.engineering)
    answer = ask_for_agent(world.bob, world.engineering)
    body = answer.json()
    assert answer.status_code == 202
    assert (body["status"], body["policies"], body["approvers"]) == ("pending", ["gate"], ["vera@acme.example"])
    assert body["id"] in body["message"]
    assert not Agent.objects.exists()
    assert Entry.objects.get(approval_request_id=body["id"]).action == "approval:request"


@pytest.mark.parametrize("pattern", ["agent:create", "agent:*", "*"])
def test_patterns_cover_an_action_its_noun_or_everything(world: World, pattern: str) -> None:
    make_policy(world.alice, world.engineering, pattern)
    assert ask_for_agent(world.bob, world.platform).status_code == 202


def test_another_action_another_branch_and_another_organization_pass(world: World) -> None:
    make_policy(world.alice, world.sales)
    make_policy(world.alice, world.engineering, "skill:create", "skills")
    assert ask_for_agent(world.bob, world.engineering).status_code == 201
    assert ask_for_agent(world.mallory, world.zeta.ous.get()).status_code == 201


def test_a_policy_that_is_off_holds_nothing(world: World) -> None:
    make_policy(world.alice, world.engineering, is_on=False)
    assert ask_for_agent(world.bob, world.engineering).status_code == 201


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ('resource.model.startsWith("claude-opus")', 201),
        ('resource.model.startsWith("claude-sonnet")', 202),
        ('command.name == "code-reviewer" && target.ou_path == "/acme/engineering"', 202),
        ("resource.no_such_field == 1", 202),
        ("resource.skills.all(x, x.name == 1) && 1 / 0 == 1", 202),
        ('actor.ref == "user:alice@acme.example"', 201),
    ],
)
def test_a_condition_looks_at_the_command_and_what_comes_of_it(world: World, condition: str, status: int) -> None:
    make_policy(world.alice, world.engineering, condition=condition)
    assert ask_for_agent(world.bob, world.engineering).status_code == status


def test_a_condition_sees_the_whole_agent_that_a_change_leads_to(world: World) -> None:
    agent = make_agent(world.bob, world.engineering, "opus", model="claude-opus-4-1")
    make_agent(world.bob, world.engineering, "sonnet")
    make_policy(world.alice, world.engineering, "agent:update", condition='resource.model.startsWith("claude-opus")')
    api = api_of(world.bob)
    assert api.patch(f"/agents/{agent.id}", {"description": "new"}).status_code == 202
    other = Agent.objects.get(name="sonnet")
    assert api.patch(f"/agents/{other.id}", {"description": "new"}).status_code == 200


def test_a_dry_run_says_who_would_hold_it_and_opens_nothing(world: World) -> None:
    make_policy(world.alice, world.engineering)
    body = {"name": "x", "ou_id": str(world.engineering.id), "display_name": "X", "model": "m", "system_prompt": "p"}
    answer = api_of(world.bob).post("/agents?dry_run=true", body).json()
    explain = answer["held_by"].pop("explain")
    assert (answer["would_hold"], answer["held_by"]) == (
        True,
        {"policies": ["gate"], "commands": [0], "by": {"0": ["gate"]}},
    )
    assert not ApprovalRequest.objects.exists()
    real = api_of(world.bob).post("/agents", body).json()["explain"]
    clocks = [told["facts"].pop()["kind"] for told in (explain, real)]
    assert (explain, clocks) == (real, ["clock", "clock"])


def test_asking_again_is_the_same_request(world: World) -> None:
    make_policy(world.alice, world.engineering)
    first, again = ask_for_agent(world.bob, world.engineering), ask_for_agent(world.bob, world.engineering)
    other = ask_for_agent(world.bob, world.engineering, "another")
    someone_else = ask_for_agent(world.alice, world.engineering)
    assert first.json()["id"] == again.json()["id"]
    assert (first.json()["is_new"], again.json()["is_new"]) == (True, False)
    assert len({first.json()["id"], other.json()["id"], someone_else.json()["id"]}) == 3


def test_nobody_fills_the_inbox_alone_nor_an_organization_everybodys(world: World, settings: Settings) -> None:
    make_policy(world.alice, world.engineering)
    settings.MAX_PENDING_PER_REQUESTER, settings.MAX_PENDING_PER_ORGANIZATION = 1, 2
    assert ask_for_agent(world.bob, world.engineering).status_code == 202
    refused = ask_for_agent(world.bob, world.engineering, "another")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "60")
    assert refused.json()["error"]["message"].startswith("You have 1 pending requests, which is the most.")
    assert ask_for_agent(world.bob, world.engineering).json()["is_new"] is False, "asking again takes no room"
    assert ask_for_agent(world.alice, world.engineering).status_code == 202
    settings.MAX_PENDING_PER_REQUESTER = 9
    refused = ask_for_agent(world.alice, world.engineering, "another")
    assert (refused.status_code, ApprovalRequest.objects.count()) == (429, 2)
    assert "Your organization has 2" in refused.json()["error"]["message"]


def test_a_required_justification_is_asked_for_and_kept(world: World) -> None:
    make_policy(world.alice, world.engineering, justification_required=True)
    refused = ask_for_agent(world.bob, world.engineering)
    assert (refused.status_code, code(refused)) == (409, "justification_required")
    assert "X-Approval-Justification" in refused.json()["error"]["message"]
    held = ask_for_agent(world.bob, world.engineering, HTTP_X_APPROVAL_JUSTIFICATION="the pilot needs it")
    assert held.status_code == 202
    assert ApprovalRequest.objects.get().justification == "the pilot needs it"


def test_several_policies_all_hold_it(world: World) -> None:
    make_policy(world.alice, world.engineering)
    make_policy(world.alice, world.root, "*", "everything", ttl_seconds=3600)
    request = held_agent(world.bob, world.engineering)
    assert sorted(demand.policy_name for demand in request.demands.all()) == ["everything", "gate"]
    assert (request.expires_at - request.created_at).total_seconds() == 3600


def test_a_skill_that_reaches_a_guarded_agent_is_held_wherever_it_lives(world: World) -> None:
    skill = make_skill(world.alice, world.engineering)
    make_version(world.alice, skill)
    agent = make_agent(world.alice, world.platform, "guarded")
    attach(world.alice, agent, skill)
    second = make_version(world.alice, skill, activate=False, extra="another")
    make_policy(world.alice, world.platform, "agent:update")
    answer = api_of(world.alice).patch(f"/skills/{skill.id}", {"current_version_id": str(second.id)})
    assert answer.status_code == 202
    request = ApprovalRequest.objects.get()
    detail = api_of(world.vera).get(f"/approvals/{request.pk}").json()
    assert [(call["kind"], call["id"]) for call in detail["cma_calls"]] == [("agent", str(agent.id))]
    effects = request.effects
    assert {(one["action"], one["name"]) for one in effects} == {
        ("skill:activate", skill.name),
        ("agent:update", "guarded"),
    }


def test_what_only_revokes_is_never_held(world: World) -> None:
    make_policy(world.alice, world.root, "*")
    token = make_token(world.bob)
    tokens = json.loads(api_of(world.bob).get("/users/me/personal-access-tokens").content)
    assert api_of(world.bob).delete(f"/users/me/personal-access-tokens/{tokens[0]['id']}").status_code == 204
    assert token


def test_the_request_of_another_organization_does_not_exist(world: World) -> None:
    make_policy(world.alice, world.engineering)
    request = held_agent(world.bob, world.engineering)
    for stranger in (world.mallory,):
        assert api_of(stranger).get(f"/approvals/{request.pk}").status_code == 404
    assert agent_named() is None
