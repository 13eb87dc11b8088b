"""Whatever actors without root OrgAdmin do, in any order: together they never hold more than before, and nobody gets
from one of them what that one did not hold.

Each rule is one set of commands by one of them, through the door. Whether it is allowed does not matter; what they hold
afterwards does.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from accounts import rbac
from accounts.commands.bindings import CreateBinding, DeleteBinding
from accounts.commands.groups import AddMember, ArchiveGroup, CreateGroup, RemoveMember
from accounts.commands.ous import ArchiveOU, CreateOU
from accounts.commands.roles import CreateRole, UpdateRole
from accounts.commands.tokens import CreateToken
from accounts.commands.users import CreateUser, DisableUser, EnableUser, MoveUser
from accounts.models import OU, AccessToken, Binding, Group, Membership, Role, User
from accounts.roles import ROLES, builtin_actions
from accounts.tokens import authenticate, mint
from powerloom.commands.bus import submit_all
from powerloom.commands.registry import Command
from powerloom.kernel.errors import PowerloomError
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from tests.conftest import fewer
from tests.database import undone
from tests.world import actor_of, bind, make_group, make_ou, make_role, make_user, make_world

EDITS = ("role:create", "role:update", "agent:read")
SKILLS = ("skill:create", "skill:read", "skill:use")


def two_of_each_kind(actions: Iterable[str]) -> Iterator[str]:
    """Return two of all the actions that the same built-in roles hold: nothing here tells the others from them."""
    kinds: defaultdict[frozenset[str], list[str]] = defaultdict(list)
    for action in sorted(actions):
        kinds[frozenset(role for role in ROLES if action in builtin_actions(role))].append(action)
    for alike in kinds.values():
        yield from alike[:2]


ACTIONS = sorted({*two_of_each_kind(builtin_actions("OUAdmin") | builtin_actions("Auditor")), *EDITS, *SKILLS})
Right = tuple[str, str]

place = st.integers(0, 20)


class Escalation(RuleBasedStateMachine):
    """Acme with its cast, an admin of each OU, an editor of roles, groups, and denies to walk out of."""

    def __init__(self) -> None:
        super().__init__()
        self.block: AbstractContextManager[None] = undone()
        self.block.__enter__()
        self.world = make_world()
        self._furnish()
        self.ous = list(OU.objects.filter(organization=self.world.acme).order_by("id"))
        self.tokens: list[str] = []
        self.allowed: dict[object, set[Right]] = {}
        self.held = self._held()
        self.together = self._together()

    def _furnish(self) -> None:
        world = self.world
        sam = make_user("sam@acme.example", home=world.sales)
        ed = make_user("ed@acme.example", home=world.root)
        make_user("pat@acme.example", home=world.platform)
        bind(sam, "OUAdmin", world.sales)
        make_role(world.acme, "Editor", *EDITS)
        make_role(world.acme, "Custom", "agent:read", "agent:create")
        make_role(world.acme, "Skills", *SKILLS)
        bind(ed, "Editor", world.root)
        bind(ed, "GroupAdmin", world.root)
        bind(ed, "OUAdmin", world.platform)
        bind(world.vera, "Custom", world.platform)
        bind(world.engineering, "AgentOperator", world.engineering)
        bind(make_group(world.engineering, "auditors", world.eve), "Auditor", world.engineering)
        bind(make_ou(world.platform, "empty"), "Auditor", world.platform)
        bind(make_group(world.root, "watched", world.bob, ed), "Skills", world.platform, decision="deny")
        bind(sam, "SkillOwner", world.sales, decision="deny")

    def teardown(self) -> None:
        self.block.__exit__(None, None, None)

    # --- Who and what

    def actor(self, number: int) -> Actor:
        """One of those without root OrgAdmin, by sign-in or by a token that one of them made."""
        people = list(User.objects.filter(organization=self.world.acme).exclude(pk=self.world.alice.pk).order_by("id"))
        callers: list[Actor | None] = [actor_of(user) for user in people if user.is_active]
        callers += [authenticate(token, request_id="", address="") for token in self.tokens]
        live = [caller for caller in callers if caller is not None]
        return live[number % len(live)]

    def one(self, rows: Any, number: int) -> Any:
        found = list(rows.order_by("id"))
        return found[number % len(found)] if found else None

    def user(self, number: int) -> User:
        found: User = self.one(User.objects.filter(organization=self.world.acme), number)
        return found

    def group(self, number: int) -> Group | None:
        found: Group | None = self.one(Group.objects.filter(archived_at__isnull=True), number)
        return found

    def ou(self, number: int) -> OU:
        return self.ous[number % len(self.ous)]

    def principal(self, number: int) -> UUID:
        rows = [self.user(number), self.group(number) or self.user(number), self.ou(number)]
        found: UUID = rows[number % 3].id
        return found

    def do(self, who: int, *commands: Command) -> None:
        actor = self.actor(who)
        could = self._rights(actor, rbac.grants(actor))
        with suppress(PowerloomError):  # refused: then nothing may have changed, which is seen below
            submit_all(commands, actor=actor)
        before, self.held = self.held, self._held()
        for user, rights in self.held.items():
            gained = rights - before.get(user, set())
            assert gained <= could, f"{actor.ref} gave {user} {sorted(gained - could)}"

    # --- Rules

    @rule(who=place, to=place, role=place, at=place, deny=st.booleans(), ends=st.booleans())
    def bind(self, who: int, to: int, role: int, at: int, *, deny: bool, ends: bool) -> None:
        chosen = self.one(Role.objects.filter(archived_at__isnull=True), role)
        command = CreateBinding(
            id=new_id(),
            principal_id=self.principal(to),
            role_id=chosen.id,
            scope_ou_id=self.ou(at).id,
            decision_type="deny" if deny else "allow",
            expires_at=timezone.now() + timedelta(days=1) if ends else None,
        )
        self.do(who, command)

    @rule(who=place, which=place)
    def unbind(self, who: int, which: int) -> None:
        found = self.one(Binding.objects.filter(ended_at__isnull=True), which)
        self.do(who, DeleteBinding(binding_id=found.id))

    @rule(who=place, group=place, member=place)
    def join(self, who: int, group: int, member: int) -> None:
        if found := self.group(group):
            self.do(who, AddMember(group_id=found.id, member_id=self.principal(member)))

    @rule(who=place, which=place)
    def leave(self, who: int, which: int) -> None:
        if found := self.one(Membership.objects.all(), which):
            self.do(who, RemoveMember(group_id=found.group_id, member_id=found.member_id))

    @rule(who=place, which=place)
    def end_group(self, who: int, which: int) -> None:
        if found := self.group(which):
            self.do(who, ArchiveGroup(group_id=found.id))

    @rule(who=place, at=place, role=place, member=place)
    def make_group_and_bind_it(self, who: int, at: int, role: int, member: int) -> None:
        """As one set: nothing that an earlier command gives may carry a later one."""
        id_, chosen = new_id(), self.one(Role.objects.filter(archived_at__isnull=True), role)
        self.do(
            who,
            CreateGroup(id=id_, ou_id=self.ou(at).id, name=f"g{id_.hex[-12:]}", display_name="G"),
            AddMember(group_id=id_, member_id=self.user(member).id),
            CreateBinding(id=new_id(), principal_id=id_, role_id=chosen.id, scope_ou_id=self.ou(at).id),
        )

    @rule(who=place, kind=place, said=st.lists(st.tuples(place, place, place, st.booleans()), min_size=2, max_size=3))
    def do_alike(self, who: int, kind: int, said: list[tuple[int, int, int, bool]]) -> None:
        """As one set of one type, which is judged together: nothing that one gives may carry another."""
        make = (self._binding, self._joining, self._leaving, self._unbinding)[kind % 4]
        self.do(who, *(command for one in said if (command := make(*one))))

    def _binding(self, to: int, role: int, at: int, deny: bool) -> Command:
        chosen = self.one(Role.objects.filter(archived_at__isnull=True), role)
        decision = "deny" if deny else "allow"
        ids = {"principal_id": self.principal(to), "role_id": chosen.id, "scope_ou_id": self.ou(at).id}
        return CreateBinding(id=new_id(), decision_type=decision, **ids)

    def _joining(self, group: int, member: int, *_: object) -> Command | None:
        found = self.group(group)
        return AddMember(group_id=found.id, member_id=self.principal(member)) if found else None

    def _leaving(self, which: int, *_: object) -> Command | None:
        found = self.one(Membership.objects.all(), which)
        return RemoveMember(group_id=found.group_id, member_id=found.member_id) if found else None

    def _unbinding(self, which: int, *_: object) -> Command:
        return DeleteBinding(binding_id=self.one(Binding.objects.filter(ended_at__isnull=True), which).id)

    @rule(who=place, user=place, to=place)
    def move(self, who: int, user: int, to: int) -> None:
        self.do(who, MoveUser(user_id=self.user(user).id, home_ou_id=self.ou(to).id))

    @rule(who=place, user=place, enable=st.booleans())
    def switch(self, who: int, user: int, *, enable: bool) -> None:
        found = self.user(user)
        self.do(who, EnableUser(user_id=found.id) if enable else DisableUser(user_id=found.id))

    @rule(who=place, at=place)
    def hire(self, who: int, at: int) -> None:
        id_ = new_id()
        email = f"u{id_.hex[-12:]}@acme.example"
        self.do(who, CreateUser(id=id_, email=email, home_ou_id=self.ou(at).id))

    @rule(who=place, which=place, actions=st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=3))
    def edit_role(self, who: int, which: int, actions: list[str]) -> None:
        found = self.one(Role.objects.filter(organization=self.world.acme), which)
        self.do(who, UpdateRole(role_id=found.id, actions=actions))

    @rule(who=place, actions=st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=3))
    def make_role(self, who: int, actions: list[str]) -> None:
        id_ = new_id()
        self.do(who, CreateRole(id=id_, name=f"R{id_.hex[-12:]}", actions=actions))

    @rule(who=place, below=place)
    def grow_and_prune(self, who: int, below: int) -> None:
        id_ = new_id()
        name = f"o{id_.hex[-12:]}"
        self.do(who, CreateOU(id=id_, parent_id=self.ou(below).id, name=name, display_name="O"))
        self.do(who, ArchiveOU(ou_id=id_))

    @rule(who=place, at=place, actions=st.one_of(st.none(), st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=3)))
    def make_token(self, who: int, at: int, actions: list[str] | None) -> None:
        actor = self.actor(who)
        assert actor.id is not None
        text, prefix, digest = mint()
        command = CreateToken(
            id=new_id(),
            principal_id=actor.id,
            name="t",
            prefix=prefix,
            digest=digest,
            actions=tuple(actions) if actions else None,
            ou_id=self.ou(at).id if at % 2 else None,
        )
        self.do(who, command)
        if AccessToken.objects.filter(hmac=digest).exists():
            self.tokens.append(text)

    # --- What must hold

    def _rights(self, actor: Actor, grants: list[rbac.Grant]) -> set[Right]:
        """What the law says, which is pure: the same grants and narrowing are not judged again after every step."""
        known = (frozenset(grants), actor.narrowing, actor.token_id is None)
        if known not in self.allowed:
            asked = [(action, ou.path) for action in ACTIONS for ou in self.ous]
            self.allowed[known] = {right for right in asked if self._allows(actor, grants, *right)}
        return self.allowed[known]

    @staticmethod
    def _allows(actor: Actor, grants: list[rbac.Grant], action: str, path: str) -> bool:
        return not rbac.narrowed(actor, action, path) and rbac.decide(grants, action, path).allowed

    def _held(self) -> dict[str, set[Right]]:
        people = list(User.objects.filter(organization=self.world.acme).exclude(pk=self.world.alice.pk))
        grants = rbac.grants_by_member([user.id for user in people])
        return {user.email: self._rights(actor_of(user), grants.get(user.id, [])) for user in people}

    def _together(self) -> set[Right]:
        return {right for rights in self.held.values() for right in rights}

    @invariant()
    def together_they_hold_no_more(self) -> None:
        now = self._together()
        assert now <= self.together, f"gained: {sorted(now - self.together)}"
        self.together = now

    @invariant()
    def the_admin_is_still_there(self) -> None:
        grants = rbac.grants(actor_of(self.world.alice))
        assert rbac.decide(grants, "role_binding:create", self.world.root.path).allowed


@pytest.mark.usefixtures("db")
def test_the_union_of_rights_never_grows() -> None:
    run_state_machine_as_test(
        Escalation, settings=settings(max_examples=fewer(10), stateful_step_count=20, deadline=None, print_blob=True)
    )
