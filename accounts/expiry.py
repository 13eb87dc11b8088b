"""Bindings whose time is over: they give nothing from that moment on; here their end is written and recorded."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts import epoch
from accounts.models import Binding
from powerloom.audit import log as audit
from powerloom.audit.log import Record
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
        audit.append([Record(EXPIRED, "", binding.target(), before=_shown(binding))], actor=actor)
    return True


def _shown(binding: Binding) -> dict[str, str]:
    return {
        "principal_ref": binding.principal.ref,
        "role": binding.role.name,
        "scope_ou_path": binding.scope_ou.path,
        "decision_type": binding.decision_type,
    }
