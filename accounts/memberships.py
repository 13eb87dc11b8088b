"""Memberships that are to be made or ended one after the other: what each gives, denies and frees from, told before any
of them is written.

Whoever joins a group gets what it and the groups above it are given, and what they are denied; whoever leaves it is
freed from its denies. So each counts for those after it: in what is above what, and in what the actor himself still
holds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from uuid import UUID

from accounts import closures, escalation, rbac
from accounts.escalation import Given
from accounts.granters import Granters
from accounts.models import Group, OUClosure, Principal, PrincipalKind, User
from powerloom.kernel.errors import Conflict
from powerloom.kernel.refs import Actor


class Memberships:
    """Some groups and whoever is to join or leave them. Its queries grow with the depth of nesting alone."""

    def __init__(self, actor: Actor, groups: Collection[UUID], members: Collection[UUID] = ()) -> None:
        self._actor = actor
        self._held = rbac.grants(actor)
        self._granters = Granters(actor.organization_id)
        self.there = closures.memberships_around({*groups, *members})
        self._above: dict[UUID, set[UUID]] = {}
        self._below: dict[UUID, set[UUID]] = {}
        for group, member in self.there:
            self._tie(group, member)
        self._everybody = {*groups, *members, *self._above, *self._below}
        self._users = set(
            Principal.objects.filter(id__in=self._everybody, kind=PrincipalKind.USER).values_list("id", flat=True)
        )
        self._given = rbac.grants_by_name(self._everybody)

    def join(self, group: Group, member: Principal) -> set[UUID]:
        """Let a principal join a group, and return the users that come into it. Raises `Conflict` for a circle, and
        `Denied` for what the actor may not give or deny.
        """
        above = {group.id, *_walk(group.id, self._above)}
        if member.id in above:
            raise Conflict(f"{member.ref} is this group or holds it: groups do not go in circles.")
        reached = escalation.oldest_first(grant for one in above for grant in self._given.get(one, ()))
        users = self._users & {member.id, *_walk(member.id, self._below)}
        denied = escalation.denials(reached)
        escalation.require_held(self._actor, escalation.allows(reached), self._held, granters=self._granters)
        if denied:
            escalation.refuse_denying_upward(
                self._actor,
                reached=users,
                denied=denied,
                held=self._held,
                given=self._reaching(users),
                granters=self._granters,
            )
        self._tie(group.id, member.id)
        if self._actor.principal_id in users:
            self._held = [*self._held, *reached]
        return users

    def leave(self, group: Group, member: Principal) -> set[UUID]:
        """Let a principal leave a group, and return the users that leave with it. Raises `Denied` where the actor may
        not free it from a deny.
        """
        users = self._users & {member.id, *_walk(member.id, self._below)}
        self._free(group, users)
        self._untie([(group.id, member.id)])
        return users

    def end(self, group: Group) -> set[UUID]:
        """Take a group away, and return the users that were in it. Raises `Denied` as `leave` does."""
        users = self._users & {group.id, *_walk(group.id, self._below)}
        self._free(group, users)
        inside = [(group.id, member) for member in self._below.get(group.id, ())]
        self._untie([*inside, *((above, group.id) for above in self._above.get(group.id, ()))])
        self._given = {**self._given, group.id: []}
        return users

    def _free(self, group: Group, users: Collection[UUID]) -> None:
        above = {group.id, *_walk(group.id, self._above)}
        reached = escalation.oldest_first(grant for one in above for grant in self._given.get(one, ()))
        denies = [grant for grant in reached if not grant.allows]
        escalation.require_held(self._actor, escalation.denials(denies), self._held, granters=self._granters)
        if denies and self._actor.principal_id in users:
            escalation.refuse_freeing_oneself(self._actor, [grant.binding_id for grant in denies])

    def _untie(self, ties: Sequence[tuple[UUID, UUID]]) -> None:
        """The actor no longer holds what reached him through these alone."""
        before = self._speaking()
        for group, member in ties:
            self._above[member].discard(group)
            self._below[group].discard(member)
        gone = {grant.binding_id for one in before - self._speaking() for grant in self._given.get(one, ())}
        self._held = [grant for grant in self._held if grant.binding_id not in gone]

    def _speaking(self) -> set[UUID]:
        return _walk(self._actor.principal_id, self._above) if self._actor.principal_id else set()

    def _tie(self, group: UUID, member: UUID) -> None:
        self._above.setdefault(member, set()).add(group)
        self._below.setdefault(group, set()).add(member)

    def _reaching(self, users: Collection[UUID]) -> Given:
        speaking = {user: {user, *_walk(user, self._above), *self._homes.get(user, ())} for user in users}
        return Given(speaking, self._given | self._given_at_home)

    @cached_property
    def _homes(self) -> dict[UUID, set[UUID]]:
        homes = dict(User.objects.filter(id__in=self._users, home_ou__isnull=False).values_list("id", "home_ou"))
        above: dict[UUID | None, set[UUID]] = {}
        tree = OUClosure.objects.filter(descendant__in=set(homes.values()))
        for home, ou in tree.values_list("descendant_id", "ancestor_id"):
            above.setdefault(home, set()).add(ou)
        return {user: above[home] for user, home in homes.items()}

    @cached_property
    def _given_at_home(self) -> dict[UUID, list[rbac.Grant]]:
        return rbac.grants_by_name(set().union(*self._homes.values()))


def _walk(start: UUID, edges: dict[UUID, set[UUID]]) -> set[UUID]:
    found: set[UUID] = set()
    frontier: Sequence[UUID] = [start]
    while frontier:
        frontier = [to for one in frontier for to in edges.get(one, ()) if to not in found]
        found.update(frontier)
    return found
