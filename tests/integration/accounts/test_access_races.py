"""No gap between asking and doing: a right that goes while a write is under way is gone for it, or was there until its
end. Two connections; each meets the other where it hurts.
"""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from accounts import epoch, rbac
from accounts.commands.bindings import CreateBinding, DeleteBinding
from accounts.commands.groups import CreateGroup
from accounts.commands.ous import UpdateOU
from accounts.commands.tokens import RevokeToken
from accounts.commands.users import DisableUser
from accounts.models import OU, AccessToken, Binding, Group, User
from accounts.roles import builtin_id
from accounts.tokens import authenticate
from powerloom.commands.bus import submit
from powerloom.commands.registry import Command
from powerloom.kernel.errors import Conflict, Denied, NameTaken, Unauthenticated
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from tests.database import PATIENCE, Race, Rival
from tests.world import World, actor_of, bind, make_token, make_user

Act = Callable[[], Any]


def rename(ou: OU) -> UpdateOU:
    return UpdateOU(ou_id=ou.id, display_name="Renamed")


def binding_of(user: User) -> Binding:
    return Binding.objects.get(principal_id=user.id, decision_type="allow")


def by(world: World, command: Command) -> Act:
    return lambda: submit(command, actor=actor_of(world.alice))


def revoke(world: World) -> Act:
    return by(world, DeleteBinding(binding_id=binding_of(world.bob).id))


def deny(world: World) -> Act:
    command = CreateBinding(
        id=new_id(),
        principal_id=world.bob.id,
        role_id=builtin_id("OUAdmin"),
        scope_ou_id=world.engineering.id,
        decision_type="deny",
    )
    return by(world, command)


def disable(world: World) -> Act:
    return by(world, DisableUser(user_id=world.bob.id))


TAKERS = pytest.mark.parametrize("take", [revoke, deny, disable])


@TAKERS
def test_a_right_taken_before_the_lock_is_gone_for_the_write(
    committed_world: World, rival: Rival, take: Callable[[World], Act]
) -> None:
    """The edge has resolved the actor; then the right goes; then the write asks."""
    bob, act = actor_of(committed_world.bob), take(committed_world)
    rival.does(act)
    with pytest.raises((Denied, Unauthenticated)):
        submit(rename(committed_world.platform), actor=bob)
    assert OU.objects.get(pk=committed_world.platform.id).display_name == "Platform"


@TAKERS
def test_a_right_is_not_taken_between_asking_and_the_commit(
    committed_world: World, rival: Rival, monkeypatch: pytest.MonkeyPatch, take: Callable[[World], Act]
) -> None:
    """The write has asked and been allowed; the taking starts; it waits until the write is done, and then holds."""
    world, act = committed_world, take(committed_world)
    taken: list[Any] = []
    judged = rbac._judged

    def judged_and_then_attacked(actor: Actor, *rest: Any) -> Any:
        decision = judged(actor, *rest)
        if actor.id == world.bob.id and not taken:
            taken.append(rival.start(act))
            assert_it_waits(taken[0])
        return decision

    monkeypatch.setattr(rbac, "_judged", judged_and_then_attacked)
    submit(rename(world.platform), actor=actor_of(world.bob))
    taken[0].result(PATIENCE)
    with pytest.raises((Denied, Unauthenticated)):
        submit(rename(world.platform), actor=actor_of(world.bob))


def assert_it_waits(future: Any) -> None:
    """Give the rival a moment: it must not get through while we hold the lock."""
    with pytest.raises(TimeoutError):
        future.result(0.3)


def test_a_token_revoked_after_the_edge_asked_writes_nothing(committed_world: World, rival: Rival) -> None:
    world = committed_world
    actor = authenticate(make_token(world.bob), request_id="", address="")
    assert actor is not None
    command = RevokeToken(principal_id=world.bob.id, token_id=AccessToken.objects.get().id)
    rival.does(lambda: submit(command, actor=actor_of(world.bob)))
    with pytest.raises(Unauthenticated):
        submit(rename(world.platform), actor=actor)


def test_two_admins_who_remove_each_other_leave_one(committed_world: World, race: Race) -> None:
    world = committed_world
    second = make_user("second@acme.example", home=world.root)
    bind(second, "OrgAdmin", world.root)
    outcomes = race(
        lambda: submit(DisableUser(user_id=second.id), actor=actor_of(world.alice)),
        lambda: submit(DisableUser(user_id=world.alice.id), actor=actor_of(second)),
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, Conflict | Denied | Unauthenticated)]
    assert len(refused) == 1
    assert User.objects.filter(pk__in=[second.id, world.alice.id], is_active=True).count() == 1


def test_one_of_two_gets_the_name(committed_world: World, race: Race) -> None:
    world = committed_world

    def make() -> Any:
        command = CreateGroup(id=new_id(), ou_id=world.platform.id, name="same", display_name="Same")
        return submit(command, actor=actor_of(world.bob))

    outcomes = race(make, make)
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, Exception)] == [NameTaken]
    assert Group.objects.filter(name="same").count() == 1


def test_the_same_binding_at_once_is_one(committed_world: World, race: Race) -> None:
    world = committed_world

    def give() -> Any:
        command = CreateBinding(
            id=new_id(),
            principal_id=world.eve.id,
            role_id=builtin_id("AgentOwner"),
            scope_ou_id=world.platform.id,
        )
        return submit(command, actor=actor_of(world.bob))

    assert not any(isinstance(outcome, Exception) for outcome in race(give, give, give))
    assert Binding.objects.filter(principal_id=world.eve.id, role_id=builtin_id("AgentOwner")).count() == 1


def test_every_change_of_access_bumps_the_epoch_and_others_do_not(world: World) -> None:
    number = epoch.current(world.acme.id)
    submit(rename(world.platform), actor=actor_of(world.bob))
    assert epoch.current(world.acme.id) == number
    command = CreateGroup(id=new_id(), ou_id=world.platform.id, name="g", display_name="G")
    submit(command, actor=actor_of(world.bob))
    assert epoch.current(world.acme.id) == number + 1
    assert epoch.current(world.zeta.id) == number


@pytest.mark.postgres_only
def test_writes_that_change_no_access_do_not_wait_for_each_other(committed_world: World, rival: Rival) -> None:
    world = committed_world
    with transaction.atomic():
        epoch.hold(world.acme.id, exclusively=False)
        rival.does(lambda: submit(rename(world.sales), actor=actor_of(world.alice)))
    assert OU.objects.get(pk=world.sales.id).display_name == "Renamed"
