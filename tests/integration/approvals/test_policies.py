"""Policies themselves: what is refused, how they guard themselves, and trying one before it holds anything."""

from typing import Any

import pytest
from django.utils import timezone

from accounts.models import OU
from agents.commands import CreateAgent
from agents.models import Agent
from approvals import replay
from approvals.commands import ArchivePolicy
from approvals.models import ApprovalPolicy, ApprovalRequest
from powerloom.audit.models import Entry
from powerloom.commands.bus import submit_all
from powerloom.commands.registry import Held
from powerloom.kernel.ids import new_id
from tests.declared import attach, make_agent, make_skill, make_version
from tests.held import builtin, decide, make_policy
from tests.integration.manifests.sending import send
from tests.refusals import code
from tests.world import World, actor_of, api_of, bind, make_group, make_role


def body(world: World, **changes: Any) -> dict[str, Any]:
    fields = {
        "name": "gate",
        "scope_ou_id": str(world.engineering.id),
        "action_pattern": "agent:create",
        "approver_role_id": str(builtin("Approver")),
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"action_pattern": "agents:*"}, "action_pattern"),
        ({"action_pattern": "agent:c*"}, "action_pattern"),
        ({"condition": "resource."}, "condition"),
        ({"condition": "resource.a.all(x, resource.a.all(y, x == y))"}, "condition"),
        ({"quorum": 0}, "quorum"),
        ({"quorum": 3}, "quorum"),
        ({"ttl_seconds": 1}, "ttl_seconds"),
        ({"name": "Not a name"}, "name"),
        ({"approver_role_id": None}, None),
        ({"approvers": []}, "approvers"),
    ],
)
def test_what_cannot_be_a_policy_is_refused_naming_the_field(
    world: World, changes: dict[str, Any], field: str | None
) -> None:
    answer = api_of(world.alice).post("/approval-policies", body(world, **changes))
    assert (answer.status_code, code(answer)) == (422, "invalid")
    if field:
        assert field in (answer.json()["error"]["detail"]["field"] or "")
    assert not ApprovalPolicy.objects.exists()


def test_a_policy_that_nobody_could_satisfy_is_refused(world: World) -> None:
    group = make_group(world.engineering, "empty")
    answer = api_of(world.alice).post(
        "/approval-policies", body(world, approver_role_id=None, approver_group_id=str(group.id))
    )
    assert answer.status_code == 422
    assert "Nobody could approve" in answer.json()["error"]["message"]


def test_a_policy_is_managed_from_above_its_scope(world: World) -> None:
    below = api_of(world.bob).post("/approval-policies", body(world, scope_ou_id=str(world.platform.id)))
    own = api_of(world.bob).post("/approval-policies", body(world, name="own"))
    assert (below.status_code, own.status_code) == (201, 403)
    assert own.json()["error"]["detail"]["permission"] == "approval_policy:manage"


def test_whoever_may_not_make_one_hears_nothing_of_what_is_wrong_with_it(world: World) -> None:
    for changes in ({"condition": "resource."}, {"action_pattern": "agents:*"}):
        refused = api_of(world.eve).post("/approval-policies", body(world, **changes))
        tried = api_of(world.alice).post("/approval-policies?dry_run=true", body(world, **changes))
        assert (refused.status_code, tried.status_code) == (403, 422)
        assert tried.json()["error"]["detail"]["field"] in changes


def test_what_is_left_of_archived_ous_is_changed_and_ended_from_above(world: World) -> None:
    policy = make_policy(world.alice, world.platform)
    ApprovalPolicy.objects.update(is_on=False)
    OU.objects.filter(pk__in=[world.platform.id, world.engineering.id]).update(archived_at=timezone.now())
    path = f"/approval-policies/{policy.id}"
    assert api_of(world.bob).patch(path, {"description": "Left."}).status_code == 200
    assert api_of(world.alice).delete(path).status_code == 204


def test_a_name_is_taken_once(world: World) -> None:
    make_policy(world.alice, world.engineering)
    answer = api_of(world.alice).post("/approval-policies", body(world))
    assert (answer.status_code, code(answer)) == (409, "name_taken")


@pytest.mark.parametrize("method", ["patch", "delete"])
def test_changing_a_policy_is_held_by_the_policy_as_it_was(world: World, method: str) -> None:
    policy = make_policy(world.alice, world.engineering, "skill:create")
    path = f"/approval-policies/{policy.id}"
    answer = getattr(api_of(world.alice), method)(path, {"is_on": False} if method == "patch" else None)
    assert (answer.status_code, answer.json()["policies"]) == (202, ["gate"])
    policy.refresh_from_db()
    assert (policy.is_on, policy.archived_at) == (True, None)


def test_a_set_that_ends_the_policy_first_is_held_all_the_same(world: World) -> None:

    policy = make_policy(world.alice, world.engineering)
    said = {"display_name": "X", "model": "claude-sonnet-4-6", "system_prompt": "x"}
    create = CreateAgent(id=new_id(), name="x", ou_id=world.engineering.id, **said)
    outcome = submit_all([ArchivePolicy(policy_id=policy.id), create], actor=actor_of(world.alice))
    assert isinstance(outcome, Held)


GATE = """
kind: ApprovalPolicy
metadata: {name: gate, scope_ou_path: /acme/engineering}
spec: {action_pattern: "agent:create", approver_role: Approver}
"""
AGENT = """
kind: Agent
metadata: {name: x, ou_path: /acme/engineering}
spec: {model: claude-sonnet-4-6, system_prompt: x, owner_principal_ref: "user:alice@acme.example"}
"""


@pytest.mark.parametrize(("effort", "status"), [("", 202), ("&best_effort=true", 200)])
def test_a_manifest_that_ends_or_turns_the_policy_is_held_whole_and_document_by_document(
    world: World, effort: str, status: int
) -> None:
    alice = api_of(world.alice)
    assert send(alice, "apply", GATE, "?set=all").status_code == 200
    turned = GATE.replace("agent:create", "agent:archive")
    for text, query in ((AGENT, "?set=all&prune=true"), (f"{turned}---{AGENT}", "?set=all")):
        answer = send(alice, "apply", text, query + effort)
        assert answer.status_code == status, answer.content
        assert {row["status"] for row in answer.json()["resources"]} == {"held"}
    policy = ApprovalPolicy.objects.get()
    assert (policy.action_pattern, policy.archived_at, Agent.objects.exists()) == ("agent:create", None, False)


def test_who_decides_for_a_policy_is_guarded_by_it(world: World) -> None:
    inner = make_group(world.engineering, "inner", world.eve)
    leads = make_group(world.engineering, "leads", inner, world.vera)
    make_policy(world.alice, world.engineering, approver_group_id=leads.id)
    api = api_of(world.alice)
    assert api.post(f"/groups/{inner.id}/users", {"user_id": str(world.bob.id)}).status_code == 202
    assert api.delete(f"/groups/{leads.id}").status_code == 202
    assert api.patch(f"/groups/{leads.id}", {"display_name": "Leads"}).status_code == 200
    judges = make_role(world.acme, "Judges", "approval:decide")
    bind(world.vera, "Judges", world.root)
    make_policy(world.alice, world.sales, name="judged", approver_role_id=judges.id)
    assert api.patch(f"/roles/{judges.id}", {"actions": ["agent:read"]}).status_code == 202


def test_an_admin_switches_a_policy_off_at_once_with_a_reason(world: World) -> None:
    policy = make_policy(world.alice, world.engineering)
    path = f"/approval-policies/{policy.id}/switch-off"
    assert api_of(world.bob).post(path, {"reason": "mine"}).status_code == 403
    assert api_of(world.alice).post(path, {}).status_code == 422
    assert api_of(world.alice).post(path, {"reason": "It blocks the release."}).json()["is_on"] is False
    entry = Entry.objects.get(action="approval_policy:switch_off", decision="allowed")
    assert "It blocks the release." in entry.body


def test_a_change_of_a_policy_goes_through_once_it_is_approved(world: World) -> None:
    policy = make_policy(world.alice, world.engineering)
    asked = api_of(world.alice).patch(f"/approval-policies/{policy.id}", {"quorum": 1, "description": "new"})
    decide(world.vera, ApprovalRequest.objects.get(pk=asked.json()["id"]))
    replay.run()
    policy.refresh_from_db()
    assert (policy.description, policy.generation) == ("new", 2)
    entry = Entry.objects.get(action="approval_policy:update", decision="allowed")
    assert str(entry.approval_request_id) == asked.json()["id"]


def test_trying_a_policy_tells_what_it_would_have_held(world: World) -> None:
    make_agent(world.bob, world.engineering, "one")
    make_agent(world.bob, world.platform, "two")
    guard = {"scope_ou_id": str(world.engineering.id), "action_pattern": "agent:*"}
    sample = {"action": "agent:create", "resource": {"model": "claude-opus-4-1"}}
    asked = {"policy": guard | {"condition": 'resource.name == "two"'}, "sample": sample}
    said = api_of(world.alice).post("/approval-policies/try", asked).json()
    assert said["sample"]["holds"] is True  # the sample has no name, so the condition cannot be decided
    assert [row["target"]["name"] for row in said["past"]["held"]] == ["two"]
    assert said["past"]["looked_at"] == 2
    blind = api_of(world.eve).post("/approval-policies/try", asked).json()
    assert blind["past"]["held"] == []
    assert not ApprovalPolicy.objects.exists()


def test_trying_a_policy_finds_what_reached_its_agents_from_elsewhere(world: World) -> None:
    alice, agent = world.alice, make_agent(world.alice, world.platform)
    skill = make_skill(alice, world.sales)
    make_version(alice, skill)
    attach(alice, agent, skill)
    second = make_version(alice, skill, activate=False, extra="another")
    assert api_of(alice).patch(f"/skills/{skill.id}", {"current_version_id": str(second.id)}).status_code == 200
    said = {}
    for scope in (world.engineering, world.sales):
        guard = {"scope_ou_id": str(scope.id), "action_pattern": "agent:update"}
        past = api_of(alice).post("/approval-policies/try", {"policy": guard}).json()["past"]
        said[scope.name] = [(row["action"], row["effect"]["action"], row["effect"]["ou_path"]) for row in past["held"]]
    here = "/acme/engineering/platform"
    assert said["engineering"] == [
        ("skill:activate", "agent:update", here),
        ("agent:attach_skill", "agent:update", here),
    ]
    assert said["sales"] == []


def test_trying_needs_a_policy(world: World) -> None:
    assert api_of(world.alice).post("/approval-policies/try", {}).status_code == 422
