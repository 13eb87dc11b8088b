"""Asking for a right: what a refusal names is what one posts; it is always held, given for a time, and its end is
recorded.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import epoch, expiry
from accounts.models import Binding, RoleAction, User
from approvals import replay
from approvals.models import ApprovalRequest
from powerloom.audit.models import Entry
from powerloom.audit.queries import payload
from tests.held import ask_for_agent, builtin, decide, make_policy
from tests.refusals import code
from tests.world import Api, World, api_of, bind, make_role, make_token, make_user


def ask(world: World, **fields: Any) -> Any:
    body = {"action": "agent:create", "ou_path": "/acme/engineering", "reason": "On call this week."}
    said = {name: value for name, value in (body | fields).items() if value is not None}
    return api_of(world.eve).post("/access-requests", said)


def asked(world: World, **fields: Any) -> ApprovalRequest:
    answer = ask(world, **fields)
    assert answer.status_code == 202, answer.content
    return ApprovalRequest.objects.get(pk=answer.json()["id"])


def given(world: World) -> Binding | None:
    return Binding.objects.filter(principal_id=world.eve.pk, expires_at__isnull=False).first()


def test_the_remedy_of_a_refusal_opens_the_way(world: World) -> None:
    (step,) = ask_for_agent(world.eve, world.engineering).json()["error"]["detail"]["explain"]["remedy"]
    answer = api_of(world.eve).post("/access-requests", {**step["request"], "reason": "On call this week."})
    assert answer.status_code == 202
    assert set(answer.json()["approvers"]) == {"alice@acme.example", "bob@acme.example"}
    request = ApprovalRequest.objects.get()
    assert (request.justification, given(world)) == ("On call this week.", None)
    assert decide(world.bob, request).json()["status"] == "approved"
    replay.run()
    binding = given(world)
    assert binding
    assert binding.expires_at
    assert timedelta(hours=23) < binding.expires_at - timezone.now() <= timedelta(days=1)
    assert ask_for_agent(world.eve, world.engineering).status_code == 201


def test_it_asks_for_the_smallest_role_unless_one_is_named(world: World) -> None:
    make_role(world.acme, "Maker", "agent:create")
    assert asked(world).target_name == "Maker"
    assert asked(world, role_id=str(builtin("AgentOwner"))).target_name == "AgentOwner"


def test_a_role_that_is_named_has_the_action_and_is_ones_own_organizations(world: World) -> None:
    lesser, foreign = make_role(world.acme, "Looker", "agent:read"), make_role(world.zeta, "Maker", "agent:create")
    answer = ask(world, role_id=str(lesser.pk))
    assert (answer.status_code, answer.json()["error"]["detail"]["field"]) == (422, "role_id")
    assert code(ask(world, role_id=str(foreign.pk))) == "not_found"
    assert not ApprovalRequest.objects.exists()


def test_nobody_lets_himself_in(world: World) -> None:
    bind(world.eve, "OUAdmin", world.platform)
    assert decide(world.eve, asked(world, ou_path="/acme/engineering/platform")).status_code == 403


def clerk_of(world: World) -> User:
    """Somebody who may bind roles everywhere and holds little himself."""
    clerk = make_user("clerk@acme.example", home=world.sales)
    make_role(world.acme, "Clerk", "role_binding:create", "role_binding:read", "approval:read")
    bind(clerk, "Clerk", world.root)
    return clerk


def test_only_who_holds_what_is_asked_is_asked_and_decides(world: World) -> None:
    clerk, request = clerk_of(world), asked(world, role_id=str(builtin("AgentOwner")))
    refused = decide(clerk, request)
    explain = refused.json()["error"]["detail"]["explain"]
    assert refused.status_code == 403
    for part in ("people who may give the role AgentOwner", "role_binding:create", "every right of that role"):
        assert part in refused.json()["error"]["message"]
    assert [step["who"] for step in explain["remedy"]] == [["user:alice@acme.example", "user:bob@acme.example"]]
    assert decide(world.vera, request).status_code == 403
    assert api_of(clerk).get("/approvals").json() == []
    assert [row["id"] for row in api_of(world.bob).get("/approvals").json()] == [str(request.pk)]
    approvers = api_of(world.eve).get(f"/approvals/{request.pk}").json()["approvers"]
    assert set(approvers) == {"alice@acme.example", "bob@acme.example"}
    assert decide(world.bob, request).status_code == 200


def test_whom_it_is_asked_of_costs_the_same_number_of_queries_whatever_their_number(world: World) -> None:
    request, counts = asked(world), []
    for name in ("one", "two", "three"):
        bind(make_user(f"{name}@acme.example", home=world.sales), "OUAdmin", world.root)
        with CaptureQueriesContext(connection) as queries:
            assert api_of(world.bob).get(f"/approvals/{request.pk}").status_code == 200
        counts.append(len(queries))
    assert len(set(counts)) == 1


def test_two_who_each_have_half_of_it_give_nothing(world: World) -> None:
    """Vera's policy wants her yes, and she owns agents; the clerk may bind roles: neither could give it alone."""
    bind(world.vera, "AgentOwner", world.root)
    make_policy(world.alice, world.root, "access_request:create")
    clerk, request = clerk_of(world), asked(world)
    assert decide(world.vera, request).json()["status"] == "pending"
    assert decide(clerk, request).status_code == 403
    assert decide(world.bob, request).json()["status"] == "approved"


def test_a_giver_who_has_lost_it_meanwhile_gives_nothing(world: World) -> None:
    request = asked(world)
    decide(world.bob, request)
    Binding.objects.filter(principal_id=world.bob.pk).update(ended_at=timezone.now())
    replay.run()
    request.refresh_from_db()
    assert (request.status, given(world)) == ("failed", None)


def test_a_giver_gives_for_no_longer_than_he_has(world: World) -> None:
    passing = make_user("passing@acme.example", home=world.sales)
    bind(passing, "OUAdmin", world.engineering, expires_at=timezone.now() + timedelta(hours=2))
    assert decide(passing, asked(world)).status_code == 403
    assert decide(passing, asked(world, expires_in_seconds=3600)).status_code == 200


def test_a_role_that_grew_meanwhile_is_not_what_was_approved(world: World) -> None:
    role = make_role(world.acme, "Maker", "agent:create")
    request = asked(world)
    decide(world.bob, request)
    RoleAction.objects.create(role=role, action="agent:invoke")
    replay.run()
    request.refresh_from_db()
    assert request.failure
    assert (request.failure["code"], given(world)) == ("stale", None)


def test_a_narrow_token_does_not_ask_beyond_itself(world: World) -> None:
    body = {"action": "agent:create", "ou_path": "/acme/engineering", "reason": "On call this week."}
    assert Api(make_token(world.eve, actions=["agent:read"])).post("/access-requests", body).status_code == 403


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"expires_in_seconds": 8 * 24 * 3600}, 422),
        ({"reason": ""}, 422),
        ({"reason": None}, 422),
        ({"action": "agent:fly"}, 422),
        ({"ou_path": None}, 422),
        ({"ou_path": "/zeta"}, 404),
        ({"ou_path": "/acme/none"}, 404),
        ({"principal_id": "0"}, 422),
    ],
)
def test_what_is_no_request_is_refused(world: World, fields: dict[str, Any], status: int) -> None:
    answer = ask(world, **fields)
    assert (answer.status_code, code(answer)) == (status, "invalid" if status == 422 else "not_found")
    assert not ApprovalRequest.objects.exists()


def test_the_end_of_what_was_given_is_recorded_once_and_watched(world: World) -> None:
    request = asked(world)
    decide(world.bob, request)
    replay.run()
    Binding.objects.filter(pk=request.target_id).update(expires_at=timezone.now() - timedelta(seconds=1))
    before = epoch.current(world.acme.id)
    assert [expiry.sweep(), expiry.sweep()] == [1, 0]
    assert epoch.current(world.acme.id) == before + 1
    found = api_of(world.alice).get("/audit", {"approval_request_id": str(request.pk)}).json()
    assert [row["action"] for row in found] == [
        "role_binding:expire",
        "approval:replay",
        "access_request:create",
        "approval:decide",
        "approval:request",
    ]
    assert ask_for_agent(world.eve, world.engineering, "another").status_code == 403


def test_what_takes_the_place_of_one_that_ran_out_says_so(world: World) -> None:
    first = asked(world)
    decide(world.bob, first)
    replay.run()
    Binding.objects.filter(pk=first.target_id).update(expires_at=timezone.now() - timedelta(seconds=1))
    second = asked(world)
    decide(world.bob, second)
    replay.run()
    entry = Entry.objects.get(action="access_request:create", approval_request_id=second.pk)
    assert payload(entry)["after"]["in_place_of"] == [str(first.target_id)]
    assert expiry.sweep() == 0
