"""Deciding and replaying: who may, what counts, and that what was approved is what runs, once."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Binding, User
from approvals import expiry, replay
from approvals.models import ApprovalRequest, Status
from powerloom.audit.models import Entry
from powerloom.audit.queries import payload
from tests.held import agent_named, ask_for_agent, builtin, decide, held_agent, make_policy
from tests.refusals import code
from tests.standing import standing
from tests.world import Api, World, api_of, bind, make_group, make_token, make_user


@standing
def request_(world: World) -> ApprovalRequest:
    make_policy(world.alice, world.engineering)
    return held_agent(world.bob, world.engineering)


def again(request: ApprovalRequest) -> ApprovalRequest:
    return ApprovalRequest.objects.get(pk=request.pk)


def test_approving_runs_nothing_and_the_replay_applies_it_as_its_requester(
    world: World, request_: ApprovalRequest
) -> None:
    assert decide(world.vera, request_, comment="fine").json()["status"] == "approved"
    assert agent_named() is None
    assert replay.run() == 1
    agent = agent_named()
    assert agent is not None
    assert agent.owner_principal_id == world.bob.id
    row = api_of(world.bob).get(f"/approvals/{request_.pk}").json()
    assert (row["status"], row["outcome"]) == ("approved", "applied")
    assert replay.run() == 0
    entries = Entry.objects.filter(approval_request_id=request_.pk).order_by("seq")
    assert [(entry.action, entry.actor_ref) for entry in entries] == [
        ("approval:request", "user:bob@acme.example"),
        ("approval:decide", "user:vera@acme.example"),
        ("agent:create", "user:bob@acme.example"),
        ("approval:replay", "user:bob@acme.example"),
    ]
    found = api_of(world.alice).get("/audit", {"approval_request_id": str(request_.pk)}).json()
    assert [row["action_verb"] for row in found] == ["replay", "create", "decide", "request"]


def test_the_requester_never_decides(world: World) -> None:
    bind(world.bob, "Approver", world.engineering)
    make_policy(world.alice, world.engineering)
    request = held_agent(world.bob, world.engineering)
    refused = decide(world.bob, request)
    assert (refused.status_code, code(refused)) == (403, "permission_denied")


def test_who_is_not_asked_may_not_decide(world: World, request_: ApprovalRequest) -> None:
    refused = decide(world.alice, request_)
    assert refused.status_code == 403
    assert "one of Approver on /acme/engineering (gate)" in refused.json()["error"]["message"]
    assert decide(world.eve, request_).status_code == 404
    assert decide(world.mallory, request_).status_code == 404


def test_a_group_decides_without_any_binding_but_must_see_what_it_decides(world: World) -> None:
    pair = make_group(world.root, "leads", world.eve, world.vera)
    make_policy(world.alice, world.engineering, approver_group_id=pair.id)
    request = held_agent(world.bob, world.engineering)
    assert decide(world.eve, request).json()["status"] == "approved"
    blind = make_user("blind@acme.example", home=world.sales)
    other = make_group(world.root, "blind", blind)
    make_policy(world.alice, world.engineering, name="second", approver_group_id=other.id)
    assert decide(blind, held_agent(world.bob, world.engineering, "second")).status_code == 403


def test_a_quorum_counts_distinct_people(world: World) -> None:
    second = make_user("second@acme.example", home=world.sales)
    bind(second, "Approver", world.engineering)
    make_policy(world.alice, world.engineering, quorum=2)
    request = held_agent(world.bob, world.engineering)
    assert decide(world.vera, request).json()["status"] == "pending"
    assert decide(world.vera, request).status_code == 409
    assert decide(second, request).json()["status"] == "approved"


def test_every_policy_must_be_met(world: World) -> None:
    make_policy(world.alice, world.engineering)
    make_policy(world.alice, world.root, "agent:*", "admins", approver_role_id=builtin("OrgAdmin"))
    request = held_agent(world.bob, world.engineering)
    assert decide(world.vera, request).json()["status"] == "pending"
    assert decide(world.alice, request).json()["status"] == "approved"


def test_one_no_ends_it_with_its_reason(world: World, request_: ApprovalRequest) -> None:
    assert decide(world.vera, request_, "reject", "not now").json()["status"] == "rejected"
    assert replay.run() == 0
    assert agent_named() is None
    row = api_of(world.bob).get(f"/approvals/{request_.pk}").json()
    assert row["decisions"][0]["comment"] == "not now"
    assert decide(world.vera, request_).status_code == 409


def test_only_who_asked_cancels(world: World, request_: ApprovalRequest) -> None:
    assert api_of(world.vera).post(f"/approvals/{request_.pk}/cancel", {}).status_code == 403
    assert api_of(world.bob).post(f"/approvals/{request_.pk}/cancel", {}).json()["status"] == "cancelled"
    assert Entry.objects.get(action="approval:cancel", decision="allowed").approval_request_id == request_.pk
    assert decide(world.vera, request_).status_code == 409


def test_bulk_cancel_takes_back_ones_own(world: World, request_: ApprovalRequest) -> None:
    held_agent(world.alice, world.engineering, "not-bobs")
    answer = api_of(world.bob).post("/approvals/bulk-cancel", {"comment": "", "resource_kind": "agent"}).json()
    assert answer == {"cancelled_count": 1, "skipped_ids": []}
    assert ApprovalRequest.objects.filter(status=Status.PENDING).count() == 1


def test_time_ends_it_at_the_sweep_and_at_a_late_decision(world: World) -> None:
    make_policy(world.alice, world.engineering)
    swept, late = held_agent(world.bob, world.engineering), held_agent(world.bob, world.engineering, "late")
    ApprovalRequest.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert decide(world.vera, late).status_code == 409
    assert again(late).status == "expired"
    assert expiry.sweep() == 1
    assert again(swept).status == "expired"
    entries = Entry.objects.filter(action="approval:expire").values_list("approval_request_id", flat=True)
    assert sorted(map(str, entries)) == sorted(map(str, (swept.pk, late.pk)))
    assert ask_for_agent(world.bob, world.engineering).json()["is_new"] is True


def disable(world: World) -> None:
    User.objects.filter(pk=world.bob.pk).update(is_active=False)


def take_the_right(world: World) -> None:
    Binding.objects.filter(principal_id=world.bob.pk).update(ended_at=timezone.now())


def take_the_name(world: World) -> None:
    api_of(world.alice).patch(f"/ous/{world.engineering.id}", {"display_name": "Other"})


def end_the_decider(world: World) -> None:
    Binding.objects.filter(principal_id=world.vera.pk).update(ended_at=timezone.now())


def add_a_policy(world: World) -> None:
    make_policy(world.alice, world.engineering, name="new", approver_role_id=builtin("OrgAdmin"))


@pytest.mark.parametrize("change", [disable, take_the_right, take_the_name, end_the_decider, add_a_policy])
def test_what_changed_since_fails_the_replay_with_its_reason(
    world: World, request_: ApprovalRequest, change: Any
) -> None:
    decide(world.vera, request_)
    change(world)
    assert replay.run() == 1
    row = again(request_)
    assert (row.status, row.outcome) == ("failed", "failed")
    assert row.failure
    assert row.failure["message"]
    assert agent_named() is None
    entry = Entry.objects.filter(action="approval:replay").get()
    assert payload(entry)["decision"]["outcome"] == "failed"


def test_an_approver_whom_the_requester_made_does_not_count(world: World) -> None:
    bind(world.bob, "OrgAdmin", world.root)
    friend = make_user("friend@acme.example", home=world.sales)
    make_policy(world.alice, world.engineering)
    body = {
        "principal_id": str(friend.id),
        "role_id": str(builtin("Approver")),
        "scope_ou_id": str(world.root.id),
        "decision_type": "allow",
    }
    assert api_of(world.bob).post("/role-bindings", body).status_code == 201
    request = held_agent(world.bob, world.engineering)
    assert decide(friend, request).json()["status"] == "approved"
    replay.run()
    assert again(request).status == "failed"
    assert agent_named() is None


def test_a_revoked_token_takes_its_held_requests_along(world: World) -> None:
    make_policy(world.alice, world.engineering)
    token = make_token(world.bob)
    answer = Api(token).post(
        "/agents",
        {"name": "x", "ou_id": str(world.engineering.id), "display_name": "X", "model": "m", "system_prompt": "p"},
    )
    request = ApprovalRequest.objects.get(pk=answer.json()["id"])
    decide(world.vera, request)
    tokens = api_of(world.bob).get("/users/me/personal-access-tokens").json()
    api_of(world.bob).delete(f"/users/me/personal-access-tokens/{tokens[0]['id']}")
    replay.run()
    assert again(request).status == "failed"


def test_a_token_decides_only_when_deciding_is_named_in_it(world: World, request_: ApprovalRequest) -> None:
    path = f"/approvals/{request_.pk}/approve"
    assert Api(make_token(world.vera)).post(path, {}).status_code in {403, 404}
    named = make_token(world.vera, actions=["approval:decide", "approval:read", "agent:read"])
    answer = Api(named).post(path, {})
    assert answer.status_code == 200, answer.content
