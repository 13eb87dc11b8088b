"""How a request leaves `pending`: approved and due for its replay, or ended without being applied."""

from __future__ import annotations

from django.utils import timezone

from approvals import bells, notices
from approvals.models import ApprovalRequest, Status
from powerloom.kernel.states import transition


def approve(request: ApprovalRequest) -> None:
    """Everything that it must satisfy is met: a worker replays it. Raises `AlreadyDecided` when it has ended."""
    now = timezone.now()
    transition(request, Status.APPROVED, decided_at=now, replay_due_at=now)
    notices.note(request, "approved")
    bells.ring_replay()


def end(request: ApprovalRequest, to: Status) -> None:
    """End it unapplied; what it carries for that case is due at once. Raises `AlreadyDecided` when it has ended."""
    now = timezone.now()
    transition(request, to, decided_at=now, replay_due_at=now if request.on_reject else None)
    notices.note(request, to)
    if request.on_reject:
        bells.ring_replay()
