"""No escalation: whoever widens rights must hold every added action at every added scope.

A binding, a role edit, a member, a nested group, a home OU, a grant, the end of a deny: each says here what it adds.
Only a lasting OrgAdmin of the root OU is exempt, and even he does not end a deny that reaches himself. A deny may not
reach holders of rights from a higher scope, and one root OrgAdmin always remains.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts import closures, rbac
from accounts.actions import Action
from accounts.granters import Granters, actions_of, who_can_end, who_may
from accounts.models import OU, Binding, DecisionType, PrincipalClosure, User
from accounts.rbac import Grant
from accounts.roles import ORG_ADMIN, builtin_id
from powerloom.commands.registry import each
from powerloom.kernel.errors import Conflict, Denied, PowerloomError
from powerloom.kernel.explanation import Remedy
from powerloom.kernel.refs import Actor

T = TypeVar("T")

MOST_ASKED_ABOUT = 100  # root OrgAdmins of before a set, one of whom usually remains


@dataclass(frozen=True)
class Widening:
    """Rights that a change would add to somebody: actions at a scope, perhaps for one resource alone."""

    actions: frozenset[str]
    scope_path: str
    resource_id: UUID | None = None
    until: datetime | None = None  # None: for ever


def allows(grants: Iterable[Grant]) -> list[Widening]:
    """Return what the allowing grants among these give to whoever comes under them."""
    return [_what(grant) for grant in grants if grant.allows]


def denials(grants: Iterable[Grant]) -> list[Widening]:
    """Return what whoever leaves the denying grants among these gets back."""
    return [_what(grant) for grant in grants if not grant.allows]


def require_held(
    actor: Actor,
    widenings: Sequence[Widening],
    held: Sequence[Grant] | None = None,
    *,
    granters: Granters | None = None,
) -> None:
    """Raise `Denied`, naming the first right that the actor would hand out without holding it.

    `held` are the actor's grants of now, where the caller has them; `granters` is shared by what is judged in one set.
    """
    if actor.kind == "system" or not widenings:
        return
    lacking = first_lacking(actor, rbac.grants(actor) if held is None else held, widenings)
    if lacking is not None:
        action, widening = lacking
        raise Denied(
            f"This would hand out {action} on {rbac.shown(widening.scope_path)}, which you do not hold there "
            "yourself. Ask an OrgAdmin.",
            remedy=[_ask(widening, granters or Granters(actor.organization_id))],
            permission=action,
            ou_path=rbac.shown(widening.scope_path),
        )


def first_lacking(actor: Actor, held: Sequence[Grant], widenings: Sequence[Widening]) -> tuple[str, Widening] | None:
    """Return the first action, and where, that the actor with these grants would hand out without holding it. Pure."""
    if _is_root_admin(actor, held):
        return None
    for widening in widenings:
        for action in sorted(widening.actions):
            if not _holds(actor, held, action, widening):
                return action, widening
    return None


def reaching(actor: Actor, bindings: Collection[UUID]) -> set[UUID]:
    """Return which of these bindings reach the actor himself."""
    speaking = Binding.objects.filter(id__in=bindings, principal__spoken_by__member_id=actor.principal_id)
    return set(speaking.values_list("id", flat=True)) if bindings else set()


def refuse_freeing_oneself(actor: Actor, ended: Collection[UUID]) -> None:
    """Raise `Denied` when one of the denies to be ended reaches the actor himself."""
    if reaching(actor, ended):
        step = Remedy("ask", "Have it ended by somebody whom it does not reach.", tuple(_enders(ended)))
        raise Denied("This deny reaches you. Somebody whom it does not reach must end it.", remedy=[step])


@dataclass(frozen=True)
class Given:
    """For whom people and agents speak, and what is given to these by name."""

    speaking: Mapping[UUID, AbstractSet[UUID]]
    grants: dict[UUID, list[Grant]]

    @classmethod
    def to(cls, reached: Collection[UUID]) -> Given:
        """Load it; a disabled user counts as what it will be once it is enabled."""
        speaking = closures.speaks_as(reached)
        return cls(speaking, rbac.grants_by_name(set().union(*speaking.values())))

    def note(self, principal_id: UUID, grant: Grant) -> None:
        """Count a grant, too, that is about to be made."""
        self.grants.setdefault(principal_id, []).append(grant)

    def reaching(self, reached: Iterable[UUID]) -> list[Grant]:
        """Return the grants that reach any of these, the oldest first."""
        named = set().union(*(self.speaking[one] for one in reached))
        return oldest_first(grant for one in named for grant in self.grants.get(one, ()))


def oldest_first(grants: Iterable[Grant]) -> list[Grant]:
    """Return grants in an order that does not depend on how they were loaded: refusals name the first that matters."""
    return sorted(grants, key=lambda grant: grant.binding_id)


def refuse_denying_upward(
    actor: Actor,
    *,
    reached: Collection[UUID],
    denied: Sequence[Widening],
    held: Sequence[Grant] | None = None,
    given: Given | None = None,
    granters: Granters | None = None,
) -> None:
    """Raise `Denied` when a deny would reach somebody whose right to the same comes from above its scope.

    `reached` are users and agents. `held` are the actor's grants of now and `given` what reaches them, where the caller
    has these; `granters` as in `require_held`.
    """
    if actor.kind == "system" or not denied:
        return
    if _is_root_admin(actor, rbac.grants(actor) if held is None else held):
        return
    for grant in (given or Given.to(reached)).reaching(reached):
        if grant.allows and any(_comes_from_above(grant, deny) for deny in denied):
            who = (granters or Granters(actor.organization_id)).of(grant.actions, grant.scope_path)
            place = rbac.shown(grant.scope_path)
            raise Denied(
                f"This deny would reach holders of {grant.role} on {place}, which is above it. "
                "Ask an admin of that OU.",
                remedy=[Remedy("ask", f"Have the deny made by who may bind {grant.role} on {place}.", tuple(who))],
            )


def refuse_disabling_upward(actor: Actor, user_id: UUID) -> None:
    """Raise `Denied` when the user administers access somewhere where the actor may not disable users."""
    if actor.kind == "system":
        return
    held = rbac.grants(actor, [Action.USER_DISABLE])
    for grant in rbac.grants_of_many([user_id]):
        rules = grant.allows and Action.ROLE_BINDING_CREATE in grant.actions
        if rules and not _holds(actor, held, Action.USER_DISABLE, Widening(frozenset(), grant.scope_path)):
            who = who_may(Action.USER_DISABLE, grant.scope_path, actor.organization_id)
            place = rbac.shown(grant.scope_path)
            raise Denied(
                "This user administers more than you do. Ask an OrgAdmin.",
                permission=Action.USER_DISABLE,
                remedy=[Remedy("ask", f"Have it done by who may {Action.USER_DISABLE} on {place}.", tuple(who))],
            )


def require_a_root_admin(organization_id: UUID | None) -> None:
    """Raise `Conflict` when no active, undenied OrgAdmin of the root OU is left. Asked after the change, before its
    commit.
    """
    if not _root_admins(organization_id).exists():
        raise Conflict(
            "The last OrgAdmin of the root OU cannot be removed, disabled or denied. Name another one first."
        )


def while_one_remains(
    organization_id: UUID | None,
    count: int,
    make: Callable[[Sequence[int]], list[T]],
    *,
    takes: Callable[[int], bool] = lambda _: True,
    once: Callable[[int], object] = int,
) -> list[T]:
    """Make changes of access, by their places in a list: each that `takes` something away must leave a root OrgAdmin.

    They all add bindings and members, or all take them away, so somebody who is one before and after them was one all
    the time, and they are made together. Where nobody was, or one is refused, they are made one by one, so that none
    counts for those after it that is itself refused. `once` is as in `each`.
    """

    def alone(place: int) -> T:
        point = transaction.savepoint()
        try:
            (made,) = make([place])
            if takes(place):
                require_a_root_admin(organization_id)
        except PowerloomError:
            transaction.savepoint_rollback(point)
            raise
        transaction.savepoint_commit(point)
        return made

    if len({once(place) for place in range(count)}) < max(count, 2):
        return each(count, alone, once=once)
    before = list(_root_admins(organization_id).values_list("pk", flat=True)[:MOST_ASKED_ABOUT])
    point = transaction.savepoint()
    with suppress(PowerloomError):
        made = make(range(count))
        if not any(map(takes, range(count))) or _root_admins(organization_id).filter(pk__in=before).exists():
            transaction.savepoint_commit(point)
            return made
    transaction.savepoint_rollback(point)
    return each(count, alone, once=once)


def _ask(widening: Widening, granters: Granters) -> Remedy:
    who = granters.of(widening.actions, widening.scope_path)
    return Remedy("ask", "Have it done by somebody who holds all of that there.", tuple(who))


def _enders(ended: Collection[UUID]) -> list[str]:
    """Return some principals that can end the first of these denies."""
    deny = Binding.objects.filter(id__in=ended).select_related("role", "scope_ou").first()
    if deny is None:
        return []
    return who_can_end(actions_of(deny.role), deny.scope_ou.path, deny.organization_id, but=deny.id)


def _what(grant: Grant) -> Widening:
    return Widening(grant.actions, grant.scope_path, grant.resource_id, grant.expires_at)


def _holds(actor: Actor, held: Sequence[Grant], action: str, widening: Widening) -> bool:
    scope = widening.scope_path
    if rbac.narrowed(actor, action, scope):
        return False
    lasting = [grant for grant in held if not grant.allows or _outlasts(grant, widening)]
    if not rbac.decide(lasting, action, scope, widening.resource_id).allowed:
        return False
    # A deny further down: there the receiver would get what the giver does not have.
    denies = [grant for grant in held if not grant.allows and action in grant.actions]
    return not any(deny.scope_path.startswith(scope) for deny in denies)


def _outlasts(grant: Grant, widening: Widening) -> bool:
    return grant.expires_at is None or (widening.until is not None and grant.expires_at >= widening.until)


def _is_root_admin(actor: Actor, held: Sequence[Grant]) -> bool:
    """Whoever is it only for a time gives for that time only: he is held to what he has, like everybody."""
    return actor.narrowing is None and any(_is_lasting_root_admin(grant) for grant in held)


def _is_lasting_root_admin(grant: Grant) -> bool:
    is_admin = grant.allows and grant.role_id == builtin_id(ORG_ADMIN) and rbac.is_root(grant.scope_path)
    return is_admin and grant.expires_at is None


def _comes_from_above(grant: Grant, deny: Widening) -> bool:
    is_above = deny.scope_path.startswith(grant.scope_path) and grant.scope_path != deny.scope_path
    return is_above and bool(grant.actions & deny.actions)


def _root_admins(organization_id: UUID | None) -> QuerySet[User]:
    speaks = PrincipalClosure.objects.filter(member_id=OuterRef(OuterRef("pk"))).values("principal_id")
    live = Binding.objects.filter(Q(organization_id=organization_id), ended_at__isnull=True, principal_id__in=speaks)
    root = OU.objects.filter(Q(organization_id=organization_id), parent__isnull=True)
    admin = live.filter(
        role_id=builtin_id(ORG_ADMIN),
        scope_ou__in=root,
        decision_type=DecisionType.ALLOW,
        expires_at__isnull=True,
        resource_id__isnull=True,
    )
    denied = live.filter(decision_type=DecisionType.DENY)
    return User.objects.filter(Exists(admin), ~Exists(denied), Q(organization_id=organization_id), is_active=True)
