"""The clock of requests: a sweep ends those whose time is over, and so does whoever decides one too late."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils import timezone

from approvals import endings
from approvals.models import ApprovalRequest, Status
from powerloom.audit import log as audit
from powerloom.audit.log import Record
from powerloom.kernel.errors import AlreadyDecided
from powerloom.kernel.refs import Actor

EXPIRED = "approval:expire"
BATCH = 100


def sweep() -> int:
    """End every pending request whose time is over; constant work when there is none. Returns how many."""
    late = ApprovalRequest.objects.filter(status=Status.PENDING, expires_at__lte=timezone.now()).order_by("expires_at")
    return sum(end_if_late(id_) for id_ in late.values_list("pk", flat=True)[:BATCH])


def end_if_late(request_id: UUID) -> bool:
    """End one request if it is pending and its time is over. Returns whether it was ended now, and here."""
    with transaction.atomic(durable=True):
        rows = ApprovalRequest.objects.select_for_update(of=("self",)).select_related("ou")
        late = rows.filter(pk=request_id, status=Status.PENDING, expires_at__lte=timezone.now()).first()
        if late is None:
            return False
        try:
            endings.end(late, Status.EXPIRED)
        except AlreadyDecided:
            return False
        actor = Actor.system("approvals", organization_id=late.organization_id)
        record = Record(EXPIRED, "", late.target(), after={"status": Status.EXPIRED}, approval_request_id=late.pk)
        audit.append([record], actor=actor)
    return True
