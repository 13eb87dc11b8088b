"""Making principals, and where one is at home."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from accounts.closures import refresh
from accounts.models import AccessToken, Binding, Group, Principal, PrincipalClosure, PrincipalKind, User


def enroll(
    id_: UUID, *, kind: PrincipalKind, organization_id: UUID, ref: str, acts_as: UUID | None = None
) -> Principal:
    """Make the principal of a new user, group, agent or OU: the row with the same id, and for whom it speaks.

    `acts_as` is the owner of an agent of kind `user`.
    """
    principal = Principal(id=id_, kind=kind, organization_id=organization_id, ref=ref, acts_as_id=acts_as)
    enroll_all([principal])
    return principal


def enroll_all(principals: Sequence[Principal]) -> None:
    """As `enroll`, for many at once."""
    Principal.objects.bulk_create(principals)
    refresh([one.id for one in principals if one.kind == PrincipalKind.USER])
    others = [one for one in principals if one.kind != PrincipalKind.USER]
    PrincipalClosure.objects.bulk_create(PrincipalClosure(member=one, principal=one) for one in others)


def retire(ids: Collection[UUID]) -> None:
    """End principals with the groups, agents or OUs that they were: their tokens, their bindings, and all that spoke
    for them.
    """
    now = timezone.now()
    PrincipalClosure.objects.filter(Q(member_id__in=ids) | Q(principal_id__in=ids)).delete()
    Binding.objects.filter(principal_id__in=ids, ended_at__isnull=True).update(ended_at=now)
    AccessToken.objects.filter(principal_id__in=ids, revoked_at__isnull=True).update(revoked_at=now)


def home_path(principal: Principal) -> str:
    """Return the path of the OU where a user, a group or an agent is at home, or that an OU has; "" for an operator."""
    return home_paths([principal])[principal.id]


def home_paths(principals: Iterable[Principal]) -> dict[UUID, str]:
    """As `home_path`, for many at once, by id; a query each for users and groups."""
    known = {one.id: one for one in principals}
    users = [one.id for one in known.values() if one.kind == PrincipalKind.USER]
    groups = [one.id for one in known.values() if one.kind == PrincipalKind.GROUP]
    found: dict[UUID, str] = {}
    if users:
        homes = User.objects.filter(pk__in=users).values_list("pk", "home_ou__path")
        found |= {id_: path or "" for id_, path in homes}
    if groups:
        found |= dict(Group.objects.filter(pk__in=groups).values_list("pk", "ou__path"))
    return found | {one.id: _place_in(one) for one in known.values() if one.id not in found}


def _place_in(principal: Principal) -> str:
    """Return where an agent or an OU is, as its name says: neither ever changes its place."""
    path = principal.ref.partition(":")[2]
    return f"{path}/" if principal.kind == PrincipalKind.OU else path[: path.rindex("/") + 1]
