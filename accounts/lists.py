"""The directory as people ask for it: by text, by place, by state; and how much lives where."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any  # rows of every kind that lives in an OU
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts import queries, rbac
from accounts.actions import Action
from accounts.law import Grant
from accounts.models import (
    OU,
    Binding,
    DecisionType,
    Group,
    Membership,
    Principal,
    PrincipalClosure,
    PrincipalKind,
    Role,
    User,
)
from powerloom.kernel.refs import Actor


@dataclass(frozen=True)
class Place:
    """One OU of the tree: how deep it lies below the uppermost that is shown, and how much of each kind lies in it."""

    ou: OU
    depth: int
    counts: list[int]


def tree(actor: Actor, *, text: str = "") -> tuple[list[str], list[Place]]:
    """Return what is counted, in words, and the OUs in the order of the tree; one query for each kind."""
    ous = queries.ous_visible_to(actor).order_by("path")
    if text:
        ous = ous.filter(Q(path__icontains=text) | Q(display_name__icontains=text))
    kinds = {
        "Users": queries.users_visible_to(actor).filter(is_active=True),
        "Groups": queries.groups_visible_to(actor),
    }
    counted = {"Users": _by(kinds["Users"], "home_ou_id"), "Groups": _by(kinds["Groups"], "ou_id")}
    counted |= {word: _by(import_string(name)(actor), "ou_id") for word, name in settings.COUNTED_IN_OUS.items()}
    found = [(ou, ou.path.strip("/").count("/")) for ou in ous]
    top = min((depth for _, depth in found), default=0)
    places = [Place(ou, depth - top, [counts.get(ou.id, 0) for counts in counted.values()]) for ou, depth in found]
    return list(counted), places


def users_matching(actor: Actor, *, text: str = "", under: str = "", state: str = "") -> QuerySet[User]:
    """Return the users with the text in name or e-mail, at home below the OU path, active or disabled; empty means
    any.
    """
    terms = Q()
    if text:
        terms &= Q(email__icontains=text) | Q(name__icontains=text)
    if under:
        terms &= Q(home_ou__path__startswith=f"{under.rstrip('/')}/")
    if state in {"active", "disabled"}:
        terms &= Q(is_active=state == "active")
    return queries.users_visible_to(actor).filter(terms)


def groups_matching(actor: Actor, *, text: str = "", under: str = "") -> QuerySet[Group]:
    """Return the groups with the text in a name, below the OU path, each with the number of its direct members."""
    terms = Q()
    if text:
        terms &= Q(name__icontains=text) | Q(display_name__icontains=text)
    if under:
        terms &= Q(ou__path__startswith=f"{under.rstrip('/')}/")
    return queries.groups_visible_to(actor).filter(terms).annotate(members=Count("memberships"))


def bindings_matching(
    actor: Actor, *, text: str = "", under: str = "", role: str = "", decision: str = ""
) -> QuerySet[Binding]:
    """Return the visible bindings with the text in whom they name, below the OU path, of the role and decision."""
    terms = Q()
    if text:
        terms &= Q(principal__ref__icontains=text)
    if under:
        terms &= Q(scope_ou__path__startswith=f"{under.rstrip('/')}/")
    if role:
        terms &= Q(role__name=role)
    if decision in DecisionType.values:
        terms &= Q(decision_type=decision)
    return queries.bindings_visible_to(actor).filter(terms, unexpired())


def unexpired() -> Q:
    """Return the law of bindings that still speak."""
    return Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())


def holders_of(roles: Sequence[Role], actor: Actor) -> dict[UUID, int]:
    """Return how many visible bindings name each role; one query."""
    rows = queries.bindings_visible_to(actor).filter(unexpired(), role__in=[role.pk for role in roles])
    return dict(rows.order_by().values_list("role_id").annotate(Count("pk")))


def groups_of(principal_id: UUID) -> QuerySet[Membership]:
    """Return the groups that a user or a group is directly in."""
    live = Membership.objects.filter(member_id=principal_id, group__archived_at__isnull=True)
    return live.select_related("group__ou").order_by("group__ou__path", "group__name")


def naming(actor: Actor, principal_id: UUID) -> QuerySet[Binding]:
    """Return the visible live bindings that speak for somebody: those that name it, its groups and its OUs."""
    speaks = PrincipalClosure.objects.filter(member_id=principal_id, principal_id=OuterRef("principal_id"))
    return queries.bindings_visible_to(actor).filter(Q(Exists(speaks)) | Q(principal_id=principal_id), unexpired())


def people_reaching(actor: Actor, ou: OU, *, text: str = "") -> QuerySet[Principal]:
    """Return the users, and the agents that a binding which the actor may read names, for whom some binding speaks in
    an OU: all of them for whoever may explain there, else only oneself.
    """
    speaking = Binding.objects.filter(
        unexpired(),
        ended_at__isnull=True,
        scope_ou__below__descendant=ou,
        principal__spoken_by__member_id=OuterRef("pk"),
    )
    named = queries.bindings_visible_to(actor).filter(principal_id=OuterRef("pk"))
    known = Q(kind=PrincipalKind.USER) | Q(Exists(named), kind=PrincipalKind.AGENT)
    rows = Principal.objects.filter(Q(organization_id=actor.organization_id), Q(Exists(speaking)), known)
    may = rbac.may(actor, Action.ACCESS_EXPLAIN, ou.path).allowed
    return rows.filter(ref__icontains=text) if may else rows.filter(Q(pk=actor.principal_id))


def grants_by_person(people: Collection[Principal]) -> dict[UUID, list[Grant]]:
    """Return all that speaks for each of these; a fixed number of queries."""
    return rbac.grants_by_member([one.pk for one in people])


def _by(rows: QuerySet[Any], column: str) -> dict[UUID, int]:
    return dict(rows.order_by().values_list(column).annotate(Count("pk")))
