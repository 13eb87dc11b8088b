"""What people are to be told about a request: written in the transaction in which it happened, sent by a worker."""

from __future__ import annotations

from django.utils import timezone

from approvals.models import ApprovalRequest, Notice
from powerloom.kernel.ids import new_id


def note(request: ApprovalRequest, event: str) -> None:
    """Note that this happened to the request; once for each event."""
    now = timezone.now()
    Notice.objects.get_or_create(
        request=request, event=event, defaults={"id": new_id(), "created_at": now, "due_at": now}
    )
