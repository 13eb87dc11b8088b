"""What a token asks is replayed as that token: as narrow as it is, and only while it is good."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AccessToken
from approvals import replay
from approvals.models import ApprovalRequest
from tests.held import agent_named, ask_for_agent, decide, make_policy
from tests.world import Api, World, make_token

pytestmark = pytest.mark.once


def asked(world: World, **narrowed: Any) -> ApprovalRequest:
    """An agent asked for with a narrow token of Bob's, and approved."""
    make_policy(world.alice, world.engineering)
    said = {"name": "x", "ou_id": str(world.platform.id), "display_name": "X", "model": "m", "system_prompt": "p"}
    answer = Api(make_token(world.bob, **narrowed)).post("/agents", said)
    request = ApprovalRequest.objects.get(pk=answer.json()["id"])
    assert decide(world.vera, request).json()["status"] == "approved"
    return request


def failure_of(request: ApprovalRequest) -> str | None:
    replay.run()
    request.refresh_from_db()
    assert (request.failure is None) == (agent_named("x") is not None)
    return (request.failure or {}).get("code")


def test_what_a_narrow_token_may_is_applied(world: World) -> None:
    assert failure_of(asked(world, actions=["agent:create", "agent:read"], ou=world.platform)) is None


def test_a_token_is_as_narrow_at_replay_as_when_it_asked(world: World) -> None:
    request = asked(world, actions=["agent:create", "agent:read"], ou=world.platform)
    assert request.actor["narrowing"] == {"actions": ["agent:create", "agent:read"], "ou_path": world.platform.path}
    for narrowing in ({"actions": ["agent:read"], "ou_path": None}, {"actions": None, "ou_path": world.sales.path}):
        ApprovalRequest.objects.update(actor=request.actor | {"narrowing": narrowing})
        assert failure_of(request) in {"permission_denied", "not_found"}
        ApprovalRequest.objects.update(status="approved", outcome="", failure=None, replay_due_at=timezone.now())


@pytest.mark.parametrize(
    "end",
    [
        lambda: AccessToken.objects.update(revoked_at=timezone.now()),
        lambda: AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1)),
    ],
    ids=["revoked", "expired"],
)
def test_what_a_token_asked_ends_with_it(world: World, end: Callable[[], int]) -> None:
    request = asked(world, actions=["agent:create", "agent:read"])
    end()
    assert failure_of(request) == "unauthenticated"


def test_the_same_asked_by_a_token_and_by_its_owner_are_two_requests(world: World) -> None:
    make_policy(world.alice, world.engineering)
    said = {"name": "code-reviewer", "ou_id": str(world.engineering.id), "agent_kind": "user"}
    said |= {"display_name": "Code Reviewer", "model": "claude-sonnet-4-6", "system_prompt": "Review Python code."}
    narrow = Api(make_token(world.bob, actions=["agent:create"])).post("/agents", said)
    whole = ask_for_agent(world.bob, world.engineering)
    assert (narrow.status_code, whole.status_code) == (202, 202)
    assert narrow.json()["id"] != whole.json()["id"]
