"""Check, list filter, explanation and write path give one answer, on random trees, groups, bindings and tokens, and it
is the answer of the law in its plainest form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import explain, rbac
from accounts.models import OU, Group, Secret, User
from accounts.roles import builtin_actions
from powerloom.commands.registry import Case, Change, Command, Handler, Subject
from powerloom.kernel.errors import Denied
from powerloom.kernel.refs import Actor, Narrowing, Target
from tests.conftest import fewer
from tests.database import undone
from tests.world import actor_of, bind, make_group, make_organization, make_ou, make_role, make_user, root_of

ACTION = "secret:read"
ROLES = {
    "OUAdmin": builtin_actions("OUAdmin"),
    "Auditor": builtin_actions("Auditor"),
    "AgentOperator": builtin_actions("AgentOperator"),
    "Custom": frozenset({ACTION, "agent:read"}),
    "Other": frozenset({"agent:read"}),
}


class Ask(Command):
    """Something to be authorized; it changes nothing."""

    action: ClassVar[str] = ACTION


def nothing_to_load(commands: Sequence[Ask], actor: Actor) -> Sequence[Subject]:
    raise AssertionError("the test brings the subject")


ASK = Handler(Ask, load=nothing_to_load, apply=list[Change])


@dataclass(frozen=True)
class Bound:
    """A binding of a plan; numbers are places in its lists, modulo their lengths."""

    who: int
    role: str
    scope: int
    decision: str
    lasts: bool | None  # None: for ever
    one: int | None  # only for this secret


@dataclass(frozen=True)
class Plan:
    """Parents of OUs and of groups point to earlier ones: a tree, and no circles."""

    ous: list[int]
    groups: list[int | None]
    homes: list[int]
    members: list[tuple[int, int]]
    bound: list[Bound]
    narrow_to: tuple[bool, int] | None


number = st.integers(0, 30)
bindings = st.builds(
    Bound,
    who=number,
    role=st.sampled_from(sorted(ROLES)),
    scope=number,
    decision=st.sampled_from(["allow", "allow", "deny"]),
    lasts=st.sampled_from([None, None, True, False]),
    one=st.one_of(st.none(), st.none(), number),
)
plans = st.builds(
    Plan,
    ous=st.lists(number, max_size=6),
    groups=st.lists(st.one_of(st.none(), number), max_size=4),
    homes=st.lists(number, min_size=2, max_size=3),
    members=st.lists(st.tuples(number, number), max_size=6),
    bound=st.lists(bindings, max_size=8),
    narrow_to=st.one_of(st.none(), st.tuples(st.booleans(), number)),
)


class Made:
    """A plan as rows."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.organization = make_organization("org")
        self.ous: list[OU] = [root_of(self.organization)]
        for place, parent in enumerate(plan.ous):
            self.ous.append(make_ou(self.ous[parent % len(self.ous)], f"ou{place}"))
        self.users = [make_user(f"u{place}@org.example", home=self.ou(home)) for place, home in enumerate(plan.homes)]
        self.members: dict[UUID, set[UUID]] = {}
        self.groups: list[Group] = []
        for place, inner in enumerate(plan.groups):
            inside = [self.groups[inner % len(self.groups)]] if inner is not None and self.groups else []
            self._group(
                f"g{place}", inside, [user for group, user in plan.members if group % len(plan.groups) == place]
            )
        self.secrets = [
            Secret.objects.create(organization=self.organization, ou=ou, name="s", kind="opaque") for ou in self.ous
        ]
        for name in ("Custom", "Other"):
            make_role(self.organization, name, *ROLES[name])
        for bound in self._distinct():
            self._bind(bound)

    def ou(self, place: int) -> OU:
        return self.ous[place % len(self.ous)]

    def principal(self, place: int) -> User | Group | OU:
        everybody: list[User | Group | OU] = [*self.users, *self.groups, *self.ous]
        return everybody[place % len(everybody)]

    def _group(self, name: str, inside: list[Group], users: list[int]) -> None:
        people = {self.users[user % len(self.users)].id: self.users[user % len(self.users)] for user in users}
        group = make_group(self.ous[0], name, *inside, *people.values())
        self.members[group.id] = {*people, *(member for found in inside for member in self.members[found.id])}
        self.groups.append(group)

    def _distinct(self) -> list[Bound]:
        found = {}
        for bound in self.plan.bound:
            one = None if bound.one is None else bound.one % len(self.secrets)
            key = (self.principal(bound.who).id, bound.role, one if one is not None else -1, bound.decision)
            found[(*key, self.scope_of(bound).id)] = bound
        return list({key[:4] if key[2] >= 0 else key: bound for key, bound in found.items()}.values())

    def scope_of(self, bound: Bound) -> OU:
        return self.ou(bound.scope) if bound.one is None else self.ous[bound.one % len(self.ous)]

    def _bind(self, bound: Bound) -> None:
        moment = {None: None, True: timezone.now() + timedelta(hours=1), False: timezone.now() - timedelta(hours=1)}
        bind(
            self.principal(bound.who),
            bound.role,
            self.scope_of(bound),
            decision=bound.decision,
            expires_at=moment[bound.lasts],
            resource_id=None if bound.one is None else self.secrets[bound.one % len(self.secrets)].id,
        )

    def actor(self, user: User) -> Actor:
        found = actor_of(user)
        if self.plan.narrow_to is None:
            return found
        by_action, place = self.plan.narrow_to
        narrowing = Narrowing(actions=("agent:read",)) if by_action else Narrowing(ou_path=self.ou(place).path)
        return Actor(**{**found.__dict__, "narrowing": narrowing, "token_id": UUID(int=1)})

    def speaks(self, user: User) -> set[UUID]:
        assert user.home_ou is not None
        homes = {ou.id for ou in self.ous if user.home_ou.path.startswith(ou.path)}
        return {user.id, *homes, *(group for group, members in self.members.items() if user.id in members)}

    def law(self, user: User, ou: OU, *, secret: Secret | None) -> bool:
        """Return the answer by the plain text of the law."""
        narrowing = self.actor(user).narrowing
        if narrowing and (narrowing.actions or not ou.path.startswith(narrowing.ou_path or "/")):
            return False
        said = set()
        for bound in self._distinct():
            speaks = self.principal(bound.who).id in self.speaks(user)
            covers = ACTION in ROLES[bound.role] and ou.path.startswith(self.scope_of(bound).path)
            about = bound.one is None or (secret and self.secrets[bound.one % len(self.secrets)].id == secret.id)
            if speaks and covers and about and bound.lasts is not False:
                said.add(bound.decision)
        return said == {"allow"}


def written(actor: Actor, ou: OU, resource_id: UUID | None) -> bool:
    """Ask the write path."""
    judge = rbac.authorize(Actor(**{**actor.__dict__, "token_id": None}), [])
    target = Target("secret", resource_id or UUID(int=0), "", ou.organization_id, ou.path)
    (verdict,) = judge([Case(Ask(), actor, ASK, Subject(None, target))])
    return not isinstance(verdict, Denied)


def explained(actor: Actor, ou: OU) -> dict[str, Any]:
    assert actor.id is not None
    return explain.explain(explain.asked(actor, ACTION, ou.id, None))


@given(plan=plans)
@settings(max_examples=fewer(18), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_way_of_asking_gives_the_answer_of_the_law(db: None, plan: Plan) -> None:
    """The explanation too, which has one deciding fact, and a remedy for every no."""
    with undone():
        made = Made(plan)
        for user in made.users:
            actor = made.actor(user)
            listed = set(Secret.objects.filter(rbac.permitted(actor, ACTION, resource_field="pk")))
            listed_by_ou = set(OU.objects.filter(rbac.permitted(actor, ACTION, ou_field="pk")))
            for ou, secret in zip(made.ous, made.secrets, strict=True):
                of_secret, of_ou = made.law(user, ou, secret=secret), made.law(user, ou, secret=None)
                assert rbac.may(actor, ACTION, ou.path, secret.id).allowed == of_secret
                assert (secret in listed) == of_secret
                assert written(actor, ou, secret.id) == of_secret
                assert rbac.may(actor, ACTION, ou.path).allowed == of_ou
                assert (ou in listed_by_ou) == of_ou
                assert written(actor, ou, None) == of_ou
                explanation = explained(actor, ou)
                assert explanation["allowed"] == of_ou
                assert [fact["decides"] for fact in explanation["facts"]].count(True) == 1
                assert bool(explanation["remedy"]) != of_ou


@pytest.mark.parametrize("role", sorted(ROLES))
def test_the_roles_of_the_property_disagree_about_the_action(role: str) -> None:
    assert (ACTION in ROLES[role]) == (role in {"OUAdmin", "Auditor", "Custom"})
