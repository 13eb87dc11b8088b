"""Several requests in one go: each is a command of its own, so one that cannot be done keeps nobody back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any  # Any: JSON
from uuid import UUID

from django.db.models import Q
from pydantic import Field

from accounts.queries import ou_for
from approvals import expiry, queries
from approvals.commands import CancelRequest, DecideRequest
from approvals.commands.policies import Part
from approvals.commands.requests import Comment
from approvals.models import ApprovalRequest, Status, Verdict
from powerloom.commands.bus import submit
from powerloom.commands.registry import Done
from powerloom.kernel.errors import PowerloomError
from powerloom.kernel.refs import Actor

MOST = 500
MOST_AT_ONCE = 100


class Several(Part):
    """The same verdict for several requests; each is decided by itself."""

    ids: Annotated[list[UUID], Field(min_length=1, max_length=MOST_AT_ONCE)]
    verdict: Verdict
    comment: Comment = ""


def cancel(actor: Actor, comment: str, *, noun: str | None, scope_ou_id: UUID | None) -> dict[str, Any]:
    """Cancel the actor's own pending requests about this noun, at exactly this OU. Returns how many, and the ids of
    those that were decided meanwhile.
    """
    mine = ApprovalRequest.objects.filter(
        Q(organization_id=actor.organization_id), Q(requester_id=actor.id), status=Status.PENDING
    )
    if noun:
        mine = mine.filter(action__startswith=f"{noun}:")
    if scope_ou_id:
        mine = mine.filter(ou=ou_for(actor, scope_ou_id))
    cancelled, skipped = 0, []
    for request_id in mine.order_by("pk").values_list("pk", flat=True)[:MOST]:
        try:
            submit(CancelRequest(request_id=request_id, comment=comment), actor=actor)
            cancelled += 1
        except PowerloomError:
            skipped.append(str(request_id))
    return {"cancelled_count": cancelled, "skipped_ids": skipped}


def decide(actor: Actor, request_ids: Sequence[UUID], verdict: Verdict, comment: str) -> list[dict[str, Any]]:
    """Say the same of several requests. Returns for each, in order, what became of it or why it was refused."""
    return [_decided(actor, request_id, verdict, comment) for request_id in dict.fromkeys(request_ids)]


def _decided(actor: Actor, request_id: UUID, verdict: Verdict, comment: str) -> dict[str, Any]:
    try:
        queries.request_for_read(actor, request_id)
        expiry.end_if_late(request_id)
        command = DecideRequest(request_id=request_id, verdict=verdict, comment=comment)
        outcome = submit(command, actor=actor)
    except PowerloomError as error:
        refusal = {"code": error.code, "message": error.message, "detail": dict(error.detail)}
        return {"id": str(request_id), "status": None, "error": refusal}
    assert isinstance(outcome, Done), "no policy holds a decision"
    return {"id": str(request_id), "status": outcome.row.status, "error": None}
