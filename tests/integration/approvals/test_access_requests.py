"""Asking for a right: what a refusal names is what one posts; it is always held, given for a time, and its end is
recorded.
"""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts import epoch, expiry
from accounts.models import Binding
from approvals import replay
from approvals.models import ApprovalRequest
from powerloom.audit.models import Entry
from tests.held import ask_for_agent, builtin, decide
from tests.refusals import code
from tests.world import World, api_of, bind, make_role, make_user


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


def test_nobody_lets_himself_in(world: World) -> None:
    bind(world.eve, "OUAdmin", world.platform)
    assert decide(world.eve, asked(world, ou_path="/acme/engineering/platform")).status_code == 403


def test_who_approves_must_hold_what_is_given(world: World) -> None:
    clerk = make_user("clerk@acme.example", home=world.engineering)
    make_role(world.acme, "Clerk", "role_binding:create", "approval:read")
    bind(clerk, "Clerk", world.engineering)
    request = asked(world, role_id=str(builtin("AgentOwner")))
    assert decide(clerk, request).json()["status"] == "approved"
    replay.run()
    request.refresh_from_db()
    assert request.status == "failed"
    assert request.failure
    assert "which you do not hold" in request.failure["message"]
    assert given(world) is None


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
    assert Entry.objects.filter(action="role_binding:expire", target_id=request.target_id).count() == 1
    assert ask_for_agent(world.eve, world.engineering, "another").status_code == 403
