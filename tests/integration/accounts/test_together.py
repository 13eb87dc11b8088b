"""Commands of one type that stand side by side in a set are taken together: each meets what it would have met alone,
after the ones before it.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from accounts.commands.bindings import CreateBinding, DeleteBinding
from accounts.commands.groups import AddMember, ArchiveGroup, RemoveMember
from accounts.commands.ous import ArchiveOU
from accounts.models import OU, Binding, DecisionType, Group, Membership, PrincipalClosure, Role, User
from powerloom.commands.bus import submit_all
from powerloom.commands.registry import Command
from powerloom.kernel.errors import Conflict, Denied, Invalid, NotFound
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from tests.conftest import fewer
from tests.database import undone
from tests.together import run
from tests.world import World, actor_of, bind, make_group, make_ou, make_user

ROLES = ("OrgAdmin", "OUAdmin", "AgentViewer", "GroupAdmin")
SAID = ("principal_id", "role_id", "scope_ou_id", "decision_type")
ENDING = ("remove", "unbind", "end", "clear")

number = st.integers(0, 30)
added = st.tuples(st.just("add"), number, number)
bound = st.tuples(st.just("bind"), number, st.tuples(number, number, st.booleans(), st.booleans()))
there = st.lists(st.one_of(added, bound), max_size=8)
of_one_type = [st.lists(st.tuples(st.just(kind), number, number), min_size=2, max_size=6) for kind in ENDING]
asked = st.one_of(st.lists(st.one_of(added, bound), min_size=2, max_size=8), *of_one_type)


class Place:
    """A tree with people and groups, and commands about them by numbers, modulo how many there are."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.groups = [make_group(ou, f"g{at}") for at, ou in enumerate((world.root, *[world.engineering] * 3))]
        self.people = [world.alice, world.bob, world.eve, make_user("zoe@acme.example", home=world.platform)]
        self.ous = [world.root, world.engineering, world.platform]
        self.roles = list(Role.objects.filter(name__in=ROLES).order_by("name"))
        bind(self.groups[1], "AgentViewer", world.engineering)
        lower = make_ou(world.sales, "lower")
        self.empty = [lower, make_ou(lower, "lowest"), make_ou(world.sales, "other")]

    def command(self, said: Any) -> Command:
        kind, who, rest = said
        members: list[User | Group] = [*self.people, *self.groups]
        if kind == "add":
            return AddMember(group_id=one(self.groups, who).id, member_id=one(members, rest).id)
        if kind == "remove":
            pairs = list(Membership.objects.order_by("pk").values_list("group_id", "member_id"))
            group_id, member_id = one([*pairs, (self.groups[0].id, self.people[0].id)], who)
            return RemoveMember(group_id=group_id, member_id=member_id)
        if kind == "unbind":
            return DeleteBinding(binding_id=one(list(Binding.objects.order_by("pk")), who).id)
        if kind == "end":
            return ArchiveGroup(group_id=one(self.groups, who).id)
        if kind == "clear":
            return ArchiveOU(ou_id=one([*self.ous, self.world.sales, *self.empty], who).id)
        role, scope, denies, ends = rest
        return CreateBinding(
            id=new_id(),
            principal_id=one([*self.people, *self.groups, *self.ous], who).id,
            role_id=one(self.roles, role).id,
            scope_ou_id=one(self.ous, scope).id,
            decision_type="deny" if denies else "allow",
            expires_at=timezone.now() + timedelta(hours=1) if ends else None,
        )


def one(things: Sequence[Any], place: int) -> Any:
    return things[place % len(things)]


def outcome(commands: Sequence[Command], actor: Actor, *, together: bool) -> Any:
    """Run a set without what is refused; return who was refused how, what changed, and what there is then."""
    with undone():
        return (
            *run(commands, actor, together=together),
            set(Membership.objects.values_list("group_id", "member_id")),
            set(Binding.objects.filter(ended_at__isnull=True).values_list(*SAID)),
            set(PrincipalClosure.objects.values_list("member_id", "principal_id")),
            set(OU.objects.filter(archived_at__isnull=True).values_list("path", flat=True)),
        )


@pytest.fixture
def place(world: World) -> Place:
    return Place(world)


@given(before=there, said=asked, by=number)
@settings(max_examples=fewer(20), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_memberships_and_bindings_meet_together_what_they_meet_alone(
    place: Place, before: list[Any], said: list[Any], by: int
) -> None:
    with undone():
        admin = actor_of(place.world.alice)
        run([place.command(each) for each in before], admin, together=True)
        # Neighbors of one type are what is taken together.
        commands = sorted((place.command(each) for each in said), key=lambda command: type(command).__name__)
        actor = actor_of(one([place.world.alice, place.world.bob], by))
        found, alone = (outcome(commands, actor, together=together) for together in (True, False))
        # Together, sight is what it was before the set, as rights always are; alone, who gave it up sees no more.
        assume(not {at for at, (error, _) in alone[0].items() if error is NotFound} - found[0].keys())
        assert found == alone


@pytest.mark.once
def test_the_one_that_takes_the_last_root_admin_is_named(world: World) -> None:
    """Although with all of them together there would be one again."""
    admins = make_group(world.root, "admins")
    bind(admins, "OrgAdmin", world.root)
    barred = make_group(world.root, "barred")
    bind(barred, "AgentViewer", world.root, decision="deny")
    commands = [
        AddMember(group_id=barred.id, member_id=world.eve.id),
        AddMember(group_id=barred.id, member_id=world.alice.id),
        AddMember(group_id=admins.id, member_id=world.vera.id),
    ]
    with pytest.raises(Conflict, match="last OrgAdmin") as refused:
        submit_all(commands, actor=actor_of(world.alice))
    assert refused.value.position == 1
    assert not Membership.objects.exists()
    submit_all([commands[2], *commands[:2]], actor=actor_of(world.alice))
    assert Membership.objects.count() == 3


@pytest.mark.once
def test_a_deny_counts_for_what_is_given_after_it(world: World) -> None:
    """Bob bars himself from what he gives next."""
    group = make_group(world.engineering, "g")
    commands = [
        binding(world.bob.id, DecisionType.DENY, role="GroupAdmin", scope=world.engineering),
        binding(group.id, DecisionType.ALLOW, role="GroupAdmin", scope=world.engineering),
    ]
    for together in (True, False):
        refused, *_ = outcome(commands, actor_of(world.bob), together=together)
        assert list(refused) == [1]


def binding(principal_id: UUID, decision: DecisionType, *, role: str, scope: OU) -> CreateBinding:
    role_id = Role.objects.get(name=role).id
    return CreateBinding(
        id=new_id(), principal_id=principal_id, role_id=role_id, scope_ou_id=scope.id, decision_type=decision
    )


@pytest.mark.once
def test_what_is_wrong_with_it_is_told_to_who_may_do_it(world: World) -> None:
    """Neither an end that is past nor an OU as a member is spoken of before the right is asked."""
    group = make_group(world.engineering, "g")
    bound = binding(world.eve.id, DecisionType.ALLOW, role="AgentViewer", scope=world.engineering)
    past = bound.model_copy(update={"expires_at": timezone.now() - timedelta(hours=1)})
    for command in (past, AddMember(group_id=group.id, member_id=world.sales.id)):
        for by, error in ((world.eve, Denied), (world.alice, Invalid)):
            with undone(), pytest.raises(error):
                submit_all([command], actor=actor_of(by))
