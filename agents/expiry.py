"""Credentials that have expired leave their vaults. The fleet does not wait for that: it asks the row at every call."""

from __future__ import annotations

from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone

from agents import convergence
from agents.kinds import SyncKind
from agents.models import Credential
from powerloom.reconcile.models import SyncState


def expire() -> int:
    """Have what has expired since the last look taken out of its vault. Returns how many; two queries at most.

    A removal that was parked after the expiry is not tried again and again.
    """
    expired = Credential.objects.filter(
        pk=OuterRef("object_id"), archived_at__isnull=True, expires_at__lte=timezone.now()
    )
    there = SyncState.objects.filter(kind=SyncKind.CREDENTIAL, is_due=False).exclude(remote_id="")
    rows = there.annotate(expired_at=Subquery(expired.values("expires_at")[:1])).filter(expired_at__isnull=False)
    rows = rows.filter(Q(parked_at__isnull=True) | Q(parked_at__lt=F("expired_at")))
    ids = list(rows.values_list("object_id", flat=True))
    if ids:
        convergence.credentials_changed(ids, urgent=True)
    return len(ids)
