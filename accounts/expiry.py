"""Bindings whose time is over: they give nothing from that moment on; here their end is written and recorded."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts import epoch
from accounts.models import Binding
from powerloom.audit import log as audit
from powerloom.audit.log import Record
from powerloom.audit.models import Entry
from powerloom.kernel.refs import Actor

EXPIRED = "role_binding:expire"
BATCH = 100


def sweep() -> int:
    """End the bindings whose time is over, each with an audit entry; constant work when there is none."""
    over = Binding.objects.filter(ended_at__isnull=True, expires_at__lte=timezone.now()).order_by("expires_at")
    return sum(_end(pk, organization_id) for pk, organization_id in over.values_list("pk", "organization_id")[:BATCH])


def _end(pk: UUID, organization_id: UUID) -> bool:
    with transaction.atomic(durable=True):
        # Before the row, as every writer of access does. Whoever watches access looks at live bindings alone, so the
        # epoch has to tell of this one.
        epoch.hold(organization_id, exclusively=True)
        rows = Binding.objects.select_for_update(of=("self",)).select_related("role", "principal", "scope_ou")
        binding = rows.filter(pk=pk, ended_at__isnull=True, expires_at__lte=timezone.now()).first()
        if binding is None:
            return False
        Binding.objects.filter(pk=pk).update(ended_at=binding.expires_at)
        actor = Actor.system("expiry", organization_id=binding.organization_id)
        behind = _request_behind(binding)
        record = Record(EXPIRED, "", binding.target(), before=_shown(binding), approval_request_id=behind)
        audit.append([record], actor=actor)
    return True


def make_way(bindings: QuerySet[Binding]) -> dict[str, list[str]]:
    """End those of these bindings whose time is over, for one that takes their place; return what its entry says of
    that, because the sweep will find them ended.
    """
    now = timezone.now()
    over = list(bindings.filter(ended_at__isnull=True, expires_at__lte=now))
    bindings.filter(pk__in=[binding.pk for binding in over]).update(ended_at=now)
    return in_place_of(over)


def in_place_of(over: Iterable[Binding]) -> dict[str, list[str]]:
    """Return what the entry of a new binding says of those whose time was over and whose place it takes."""
    ended = [str(binding.pk) for binding in over]
    return {"in_place_of": ended} if ended else {}


def _request_behind(binding: Binding) -> UUID | None:
    """Return the approval request that gave it, so that its end is found with its beginning."""
    made = Entry.objects.filter(
        chain_id=binding.organization_id, target_id=binding.pk, target_kind__in=("access_request", "role_binding")
    )
    return made.order_by("seq").values_list("approval_request_id", flat=True).first()


def _shown(binding: Binding) -> dict[str, str]:
    return {
        "principal_ref": binding.principal.ref,
        "role": binding.role.name,
        "scope_ou_path": binding.scope_ou.path,
        "decision_type": binding.decision_type,
    }
