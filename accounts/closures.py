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


def reached_by(principal_ids: Iterable[UUID]) -> list[UUID]:
    """Return whoever acts with what is given to these principals: users, disabled ones too, and agents."""
    named = list(principal_ids)
    acting = _within(named).filter(kind__in=[PrincipalKind.USER, PrincipalKind.AGENT]).values_list("id", flat=True)
    at_home = User.objects.filter(home_ou__above__ancestor_id__in=named).values_list("id", flat=True)
    return list({*acting, *at_home})


def reached_by_each(principal_ids: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """As `reached_by`, for each of many by its id; a query a level of nesting, and two more."""
    inside = {id_: {id_, *members} for id_, members in _walked(principal_ids, "group_id", "member_id").items()}
    everybody = Principal.objects.filter(id__in=set().union(*inside.values()))
    acting = everybody.filter(kind__in=[PrincipalKind.USER, PrincipalKind.AGENT])
    who = set(acting.values_list("id", flat=True))
    found = {id_: members & who for id_, members in inside.items()}
    at_home = User.objects.filter(home_ou__above__ancestor_id__in=found)
    for named, user in at_home.values_list("home_ou__above__ancestor_id", "id"):
        found[named].add(user)
    return found


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
    return _walked(principal_ids, "member_id", "group_id")


def memberships_around(principal_ids: Iterable[UUID]) -> set[tuple[UUID, UUID]]:
    """Return, as group and member, the memberships above and below these principals, and those above whoever is below;
    one query a level of nesting.
    """
    below = _edges(principal_ids, near="group_id", far="member_id")
    everybody = {*principal_ids, *(member for _, member in below)}
    return below | {(group, member) for member, group in _edges(everybody, near="member_id", far="group_id")}


def _edges(start: Iterable[UUID], *, near: str, far: str) -> set[tuple[UUID, UUID]]:
    found: set[tuple[UUID, UUID]] = set()
    seen = set(start)
    frontier = set(seen)
    while frontier:
        edges = set(Membership.objects.filter(**{f"{near}__in": frontier}).values_list(near, far))
        found |= edges
        frontier = {to for _, to in edges} - seen
        seen |= frontier
    return found


def _walked(start: Iterable[UUID], near: str, far: str) -> dict[UUID, set[UUID]]:
    """Return for each principal whom one comes to along the memberships, up or down."""
    found: dict[UUID, set[UUID]] = {id_: set() for id_ in start}
    frontier = {id_: {id_} for id_ in found}  # who is asked about, and by whom it was reached
    while frontier:
        edges = Membership.objects.filter(**{f"{near}__in": frontier}).values_list(near, far)
        reached: dict[UUID, set[UUID]] = {}
        for here, there in edges:
            new = {root for root in frontier[here] if there not in found[root]}
            for root in new:
                found[root].add(there)
            if new:
                reached.setdefault(there, set()).update(new)
        frontier = reached
    return found


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
