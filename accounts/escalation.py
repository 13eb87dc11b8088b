"""No escalation: whoever widens rights must hold every added action at every added scope.

A binding, a role edit, a member, a nested group, a home OU, a grant, the end of a deny: each says here what it adds.
Only a lasting OrgAdmin of the root OU is exempt, and even he does not end a deny that reaches himself. A deny may not
reach holders of rights from a higher scope, and one root OrgAdmin always remains.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts import closures, rbac
from accounts.actions import Action
from accounts.models import OU, Binding, DecisionType, PrincipalClosure, User
from accounts.rbac import Grant
from accounts.roles import ORG_ADMIN, builtin_id
from powerloom.kernel.errors import Conflict, Denied
from powerloom.kernel.refs import Actor


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


def require_held(actor: Actor, widenings: Sequence[Widening]) -> None:
    """Raise `Denied`, naming the first right that the actor would hand out without holding it."""
    if actor.kind == "system" or not widenings:
        return
    held = rbac.grants(actor)
    if _is_root_admin(actor, held):
        return
    for widening in widenings:
        for action in sorted(widening.actions):
            if not _holds(actor, held, action, widening):
                raise Denied(
                    f"This would hand out {action} on {rbac.shown(widening.scope_path)}, which you do not hold there "
                    "yourself. Ask an OrgAdmin.",
                    permission=action,
                    ou_path=rbac.shown(widening.scope_path),
                )


def refuse_freeing_oneself(actor: Actor, ended: Collection[UUID]) -> None:
    """Raise `Denied` when one of the denies to be ended reaches the actor himself."""
    principal = actor.principal_id
    if Binding.objects.filter(id__in=ended, principal__spoken_by__member_id=principal).exists():
        raise Denied("This deny reaches you. Somebody whom it does not reach must end it.")


def refuse_denying_upward(actor: Actor, *, reached: Collection[UUID], denied: Sequence[Widening]) -> None:
    """Raise `Denied` when a deny would reach somebody whose right to the same comes from above its scope.

    `reached` are users and agents; a disabled user counts as what it will be once it is enabled.
    """
    if actor.kind == "system" or not denied or _is_root_admin(actor, rbac.grants(actor)):
        return
    spoken_for = set().union(*closures.speaks_as(reached).values())
    for grant in rbac.grants_naming(spoken_for):
        if grant.allows and any(_comes_from_above(grant, deny) for deny in denied):
            raise Denied(
                f"This deny would reach holders of {grant.role} on {rbac.shown(grant.scope_path)}, which is above it. "
                "Ask an admin of that OU."
            )


def refuse_disabling_upward(actor: Actor, user_id: UUID) -> None:
    """Raise `Denied` when the user administers access somewhere where the actor may not disable users."""
    if actor.kind == "system":
        return
    held = rbac.grants(actor, [Action.USER_DISABLE])
    for grant in rbac.grants_of_many([user_id]):
        rules = grant.allows and Action.ROLE_BINDING_CREATE in grant.actions
        if rules and not _holds(actor, held, Action.USER_DISABLE, Widening(frozenset(), grant.scope_path)):
            raise Denied("This user administers more than you do. Ask an OrgAdmin.", permission=Action.USER_DISABLE)


def require_a_root_admin(organization_id: UUID | None) -> None:
    """Raise `Conflict` when no active, undenied OrgAdmin of the root OU is left. Asked after the change, before its
    commit.
    """
    if not _root_admins(organization_id).exists():
        raise Conflict(
            "The last OrgAdmin of the root OU cannot be removed, disabled or denied. Name another one first."
        )


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
