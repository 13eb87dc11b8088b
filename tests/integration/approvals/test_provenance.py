"""Whose approval counts when it is applied: nobody's who lost it meanwhile, or owes it to whoever asked."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Binding, User
from approvals import replay
from approvals.models import ApprovalRequest
from powerloom.audit.models import Entry
from tests.held import agent_named, builtin, decide, held_agent, make_policy
from tests.standing import standing
from tests.world import Api, World, api_of, bind, make_group, make_role, make_user

pytestmark = pytest.mark.once


@standing
def friend(world: World) -> User:
    """Somebody nobody has named yet, and whoever asks may name him."""
    bind(world.bob, "OrgAdmin", world.root)
    return make_user("friend@acme.example", home=world.sales)


def said(answer: Any) -> Any:
    assert answer.status_code in {200, 201, 204}, answer.content
    return answer.json() if answer.content else None


def counts(world: World, friend: User, **policy: Any) -> bool:
    """Whether the friend's yes lets pass what Bob asks."""
    make_policy(world.alice, world.engineering, **policy)
    request = held_agent(world.bob, world.engineering)
    assert decide(User.objects.get(pk=friend.pk), request).json()["status"] == "approved"
    replay.run()
    request.refresh_from_db()
    assert (agent_named() is None) == (request.outcome != "applied")
    return request.outcome == "applied"


def binding(principal: str, role: str, scope: str) -> dict[str, str]:
    return {"principal_id": principal, "role_id": role, "scope_ou_id": scope, "decision_type": "allow"}


def bound(api: Api, world: World, principal: str) -> None:
    said(api.post("/role-bindings", binding(principal, str(builtin("Approver")), str(world.root.id))))


@pytest.mark.parametrize(("giver", "is_counted"), [("bob", False), ("alice", True)])
class TestWhatWasGiven:
    def test_a_binding(self, world: World, friend: User, giver: str, is_counted: bool) -> None:
        bound(api_of(getattr(world, giver)), world, str(friend.id))
        assert counts(world, friend) is is_counted

    def test_a_binding_for_a_time_that_was_asked_for(
        self, world: World, friend: User, giver: str, is_counted: bool
    ) -> None:
        wanted = {"action": "approval:decide", "ou_path": "/acme", "role_id": str(builtin("Approver")), "reason": "x"}
        asked = api_of(friend).post("/access-requests", wanted).json()
        assert decide(getattr(world, giver), ApprovalRequest.objects.get(pk=asked["id"])).status_code == 200
        replay.run()
        assert Binding.objects.get(principal_id=friend.id).expires_at
        assert counts(world, friend) is is_counted

    def test_a_place_in_a_group_that_is_bound(self, world: World, friend: User, giver: str, is_counted: bool) -> None:
        group = make_group(world.root, "leads")
        bind(group, "Approver", world.root)
        said(api_of(getattr(world, giver)).post(f"/groups/{group.id}/users", {"user_id": str(friend.id)}))
        assert counts(world, friend) is is_counted

    def test_a_place_in_a_group_within_the_group_that_decides(
        self, world: World, friend: User, giver: str, is_counted: bool
    ) -> None:
        bind(friend, "AgentViewer", world.root)
        inner = make_group(world.root, "inner")
        leads = make_group(world.root, "leads", make_group(world.root, "middle", inner), world.vera)
        said(api_of(getattr(world, giver)).post(f"/groups/{inner.id}/users", {"user_id": str(friend.id)}))
        assert counts(world, friend, approver_group_id=leads.id) is is_counted

    def test_a_place_for_the_friends_group(self, world: World, friend: User, giver: str, is_counted: bool) -> None:
        inner, middle = make_group(world.root, "inner", friend), make_group(world.root, "middle")
        bind(make_group(world.root, "leads", middle), "Approver", world.root)
        said(api_of(getattr(world, giver)).post(f"/groups/{middle.id}/groups", {"member_group_id": str(inner.id)}))
        assert counts(world, friend) is is_counted

    def test_a_home_that_is_bound(self, world: World, friend: User, giver: str, is_counted: bool) -> None:
        bind(world.platform, "Approver", world.root)
        said(api_of(getattr(world, giver)).patch(f"/users/{friend.id}", {"home_ou_id": str(world.platform.id)}))
        assert counts(world, friend) is is_counted

    def test_an_account_that_works_again(self, world: World, friend: User, giver: str, is_counted: bool) -> None:
        bind(friend, "Approver", world.root)
        said(api_of(world.alice).patch(f"/users/{friend.id}", {"is_active": False}))
        said(api_of(getattr(world, giver)).patch(f"/users/{friend.id}", {"is_active": True}))
        assert counts(world, friend) is is_counted

    def test_a_password_by_which_the_giver_could_sign_in(
        self, world: World, friend: User, giver: str, is_counted: bool
    ) -> None:
        bind(friend, "Approver", world.root)
        said(api_of(getattr(world, giver)).post(f"/users/{friend.id}/password", {}))
        assert counts(world, friend) is is_counted


def test_a_second_reason_that_others_gave_is_enough(world: World, friend: User) -> None:
    bound(api_of(world.bob), world, str(friend.id))
    bind(make_group(world.root, "leads", friend), "Approver", world.root)
    assert counts(world, friend)


def test_a_place_that_was_given_again_by_another_is_the_others_gift(world: World, friend: User) -> None:
    group = make_group(world.root, "leads")
    bind(group, "Approver", world.root)
    place = {"user_id": str(friend.id)}
    said(api_of(world.bob).post(f"/groups/{group.id}/users", place))
    said(api_of(world.alice).delete(f"/groups/{group.id}/users/{friend.id}"))
    said(api_of(world.alice).post(f"/groups/{group.id}/users", place))
    assert counts(world, friend)


def test_what_the_requester_tried_to_give_in_vain_taints_nobody(world: World) -> None:
    group = make_group(world.root, "leads", world.vera)
    bind(group, "OrgAdmin", world.root)
    refused = api_of(world.bob).post(f"/groups/{group.id}/users", {"user_id": str(world.eve.id)})
    assert refused.status_code == 403
    assert Entry.objects.filter(action="group:add_member", decision="denied").exists()
    assert counts(world, world.vera, approver_group_id=group.id)


def lose_the_role(world: World, friend: User) -> None:
    held = Binding.objects.get(principal_id=friend.id)
    said(api_of(world.alice).delete(f"/role-bindings/{held.id}"))


def lose_the_sight(world: World, friend: User) -> None:
    blind = make_role(world.acme, "Blind", "agent:read")
    deny = binding(str(friend.id), str(blind.id), str(world.engineering.id)) | {"decision_type": "deny"}
    said(api_of(world.alice).post("/role-bindings", deny))


def lose_the_account(world: World, friend: User) -> None:
    said(api_of(world.alice).patch(f"/users/{friend.id}", {"is_active": False}))


@pytest.mark.parametrize("lose", [lose_the_role, lose_the_sight, lose_the_account])
def test_whoever_lost_it_meanwhile_does_not_count(
    world: World, friend: User, lose: Callable[[World, User], None]
) -> None:
    bind(friend, "Approver", world.root)
    make_policy(world.alice, world.engineering)
    request = held_agent(world.bob, world.engineering)
    assert decide(friend, request).json()["status"] == "approved"
    lose(world, friend)
    replay.run()
    failed = ApprovalRequest.objects.get(pk=request.pk)
    assert (failed.status, (failed.failure or {})["code"]) == ("failed", "conflict")
    assert agent_named() is None
