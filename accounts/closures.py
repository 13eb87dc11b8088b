"""The closures that make every question of access one EXISTS. Kept by commands, in the transaction of the change.

OU closure rows are written once, because name and parent of an OU never change. Principal closure rows of a user are
what `speaks_as` says now: itself, its groups transitively, its home OU and all above; a disabled user speaks for
nobody, so everything fails closed. Any other principal speaks for itself alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import OU, Membership, OUClosure, Principal, PrincipalClosure, PrincipalKind, User


def enter_tree(*ous: OU) -> None:
    """Write the closure rows of new OUs, of one above another the upper first: itself and every OU above it."""
    above: dict[UUID | None, list[UUID]] = {}
    parents = {ou.parent_id for ou in ous if ou.parent_id}
    for descendant, ancestor in OUClosure.objects.filter(descendant_id__in=parents).values_list(
        "descendant_id", "ancestor_id"
    ):
        above.setdefault(descendant, []).append(ancestor)
    rows = []
    for ou in ous:
        above[ou.id] = [*above.get(ou.parent_id, ()), ou.id]
        rows += [OUClosure(ancestor_id=id_, descendant_id=ou.id) for id_ in above[ou.id]]
    OUClosure.objects.bulk_create(rows)


def refresh(users: Iterable[UUID]) -> None:
    """Make the users' closure rows what they should be; queries grow with the depth of nesting, not with the users."""
    wanted = _enabled(users)
    held = PrincipalClosure.objects.filter(member_id__in=wanted).values_list("member_id", "principal_id", "id")
    rows = {(member, principal): id_ for member, principal, id_ in held}
    should = {(member, principal) for member, principals in wanted.items() for principal in principals}
    PrincipalClosure.objects.filter(id__in=[id_ for pair, id_ in rows.items() if pair not in should]).delete()
    PrincipalClosure.objects.bulk_create(
        PrincipalClosure(member_id=member, principal_id=principal) for member, principal in should - rows.keys()
    )


def users_within(principal_id: UUID) -> list[UUID]:
    """Return the users that a principal stands for: itself, or everybody in the group and the groups in it."""
    return list(_within([principal_id]).filter(kind=PrincipalKind.USER).values_list("id", flat=True))


def reached_by(principal_ids: Iterable[UUID]) -> list[UUID]:
    """Return whoever acts with what is given to these principals: users, disabled ones too, and agents."""
    named = list(principal_ids)
    acting = _within(named).filter(kind__in=[PrincipalKind.USER, PrincipalKind.AGENT]).values_list("id", flat=True)
    at_home = User.objects.filter(home_ou__above__ancestor_id__in=named).values_list("id", flat=True)
    return list({*acting, *at_home})


def _within(principal_ids: Iterable[UUID]) -> QuerySet[Principal]:
    found = set(principal_ids)
    frontier = set(found)
    while frontier:
        inside = Membership.objects.filter(group_id__in=frontier).values_list("member_id", flat=True)
        frontier = set(inside) - found
        found |= frontier
    return Principal.objects.filter(id__in=found)


def groups_above(principal_ids: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """Return for each principal the groups it is in, directly or through other groups; one query a level of nesting."""
    above: dict[UUID, set[UUID]] = {id_: set() for id_ in principal_ids}
    frontier = {id_: {id_} for id_ in above}  # who is asked about, and by whom it was reached
    while frontier:
        edges = Membership.objects.filter(member_id__in=frontier).values_list("member_id", "group_id")
        reached: dict[UUID, set[UUID]] = {}
        for member, group in edges:
            new = {root for root in frontier[member] if group not in above[root]}
            for root in new:
                above[root].add(group)
            if new:
                reached.setdefault(group, set()).update(new)
        frontier = reached
    return above


def speaks_as(users: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """Return for each user whom it would speak for while it is enabled; for an agent, itself."""
    wanted = {user: {user, *groups} for user, groups in groups_above(users).items()}
    homes = User.objects.filter(id__in=wanted, home_ou__isnull=False)
    for user, ou in homes.values_list("id", "home_ou__above__ancestor_id"):
        wanted[user].add(ou)
    return wanted


def _enabled(users: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    users = list(users)
    active = set(User.objects.filter(id__in=users, is_active=True).values_list("id", flat=True))
    speaking = speaks_as(active)
    return {user: speaking.get(user, set()) for user in users}
