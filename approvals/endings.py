"""How a request leaves `pending`: approved and due for its replay, ended without being applied, or settled by somebody
who answered on the thing itself.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from django.utils import timezone

from approvals import bells, notices
from approvals.models import ApprovalRequest, Decision, Outcome, Status, Verdict
from powerloom.audit.log import Record
from powerloom.kernel.errors import AlreadyDecided, Conflict
from powerloom.kernel.explanation import plain
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.kernel.states import transition

WITHDRAWN = "approval:withdraw"


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


def settle(request_id: UUID, verdict: Verdict, *, by: Actor, comment: str) -> None:
    """Somebody has answered on the thing itself, in this transaction: there is nothing left to decide or to replay.

    Raises `AlreadyDecided` when it has ended, `Conflict` when its time is over.
    """
    assert by.id is not None, "only somebody answers"
    rows = ApprovalRequest.objects.select_for_update(of=("self",)).select_related("ou")
    request, now = rows.get(pk=request_id), timezone.now()
    if request.status == Status.PENDING and request.expires_at <= now:
        raise Conflict("The time of this request is over.", status=Status.EXPIRED)
    if verdict == Verdict.APPROVE:
        transition(request, Status.APPROVED, decided_at=now, outcome=Outcome.APPLIED, applied_at=now)
    else:
        transition(request, Status.REJECTED, decided_at=now)
    _, is_first = Decision.objects.get_or_create(
        request=request,
        decider_id=by.id,
        defaults={
            "id": new_id(),
            "decider_ref": by.ref,
            "verdict": verdict,
            "comment": comment,
            "created_at": now,
        },
    )
    if not is_first:
        raise AlreadyDecided("You have decided this request already.")
    notices.note(request, "applied" if verdict == Verdict.APPROVE else Status.REJECTED)


def withdraw(request_ids: Collection[UUID], *, code: str, words: str) -> list[Record]:
    """End those that are pending still because what they are about is gone, in this transaction.

    Returns what the trail has to say, for the caller to append.
    """
    pending = ApprovalRequest.objects.filter(pk__in=request_ids, status=Status.PENDING).order_by("pk")
    failure = {"code": code, "message": words, "detail": {}, "explain": plain(words).as_json()}
    records = []
    for request in pending.select_for_update(of=("self",)).select_related("ou"):
        transition(request, Status.FAILED, decided_at=timezone.now(), outcome=Outcome.FAILED, failure=failure)
        notices.note(request, Status.FAILED)
        said = {"outcome": "failed", **failure}
        records.append(Record(WITHDRAWN, "", request.target(), decision=said, approval_request_id=request.pk))
    return records
