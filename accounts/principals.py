"""Making principals, and where one is at home."""

from __future__ import annotations

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
    principal = Principal.objects.create(
        id=id_, kind=kind, organization_id=organization_id, ref=ref, acts_as_id=acts_as
    )
    if kind == PrincipalKind.USER:
        refresh([id_])
    else:
        PrincipalClosure.objects.create(member=principal, principal=principal)
    return principal


def retire(id_: UUID) -> None:
    """End a principal with the group, agent or OU that it was: its tokens, its bindings, and all that spoke for it."""
    now = timezone.now()
    PrincipalClosure.objects.filter(Q(member_id=id_) | Q(principal_id=id_)).delete()
    Binding.objects.filter(principal_id=id_, ended_at__isnull=True).update(ended_at=now)
    AccessToken.objects.filter(principal_id=id_, revoked_at__isnull=True).update(revoked_at=now)


def home_path(principal: Principal) -> str:
    """Return the path of the OU where a user, a group or an agent is at home, or that an OU has; "" for an operator."""
    if principal.kind == PrincipalKind.USER:
        user = User.objects.select_related("home_ou").get(pk=principal.id)
        return user.home_ou.path if user.home_ou else ""
    if principal.kind == PrincipalKind.GROUP:
        return Group.objects.select_related("ou").get(pk=principal.id).ou.path
    # `agent:/acme/engineering/reviewer`, `ou:/acme/engineering`: neither ever changes its place.
    path = principal.ref.partition(":")[2]
    return f"{path}/" if principal.kind == PrincipalKind.OU else path[: path.rindex("/") + 1]
