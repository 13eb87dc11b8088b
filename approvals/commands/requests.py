"""Deciding and cancelling. Neither runs anything: a worker replays what was approved (`approvals.replay`)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar  # Any: audit payloads are JSON
from uuid import UUID

from django.utils import timezone
from pydantic import Field

from accounts.law import shown
from approvals import eligibility, endings, exposure, queries
from approvals.actions import Action
from approvals.models import ApprovalRequest, Decision, Demand, Status, Verdict
from approvals.rows import approvers_of, demands_of
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import AlreadyDecided, Conflict, Denied
from powerloom.kernel.explanation import Remedy
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor

Comment = Annotated[str, Field(max_length=2000)]


class DecideRequest(Command):
    """Say yes or no to a request, once. A no ends it; a yes counts towards what its policies ask."""

    action: ClassVar[str] = Action.APPROVAL_DECIDE
    request_id: UUID
    verdict: Verdict
    comment: Comment = ""


class CancelRequest(Command):
    """Take back one's own request."""

    action: ClassVar[str] = Action.APPROVAL_CANCEL
    request_id: UUID
    comment: Comment = ""


def load_decision(command: DecideRequest, actor: Actor) -> Subject:
    """A deny and a narrow token are asked of the law; who decides, of the request: no binding makes up for that."""
    request = queries.request_for_change(actor, command.request_id)
    return Subject(request, request.target(), own=True)


@handles(DecideRequest, load=load_decision, holdable=False)
def decide_request(command: DecideRequest, *, subject: Subject, actor: Actor) -> Change:
    request: ApprovalRequest = subject.row
    _check_decider(actor, request)
    _check_pending(request)
    assert actor.id is not None
    _, is_first = Decision.objects.get_or_create(
        request=request,
        decider_id=actor.id,
        defaults={
            "id": new_id(),
            "decider_ref": actor.ref,
            "verdict": command.verdict,
            "comment": command.comment,
            "created_at": timezone.now(),
        },
    )
    if not is_first:
        raise AlreadyDecided("You have decided this request already.")
    _move(request, command.verdict)
    return Change(request, {"status": Status.PENDING}, _said(request, command), approval_request_id=request.pk)


def load_cancel(command: CancelRequest, actor: Actor) -> Subject:
    request = queries.request_for_change(actor, command.request_id)
    return Subject(request, request.target(), own=request.requester_id == actor.id)


@handles(CancelRequest, load=load_cancel, holdable=False)
def cancel_request(command: CancelRequest, *, subject: Subject, actor: Actor) -> Change:
    request: ApprovalRequest = subject.row
    if request.requester_id != actor.id:
        raise Denied(
            "Only who asked can cancel a request. Reject it instead.",
            permission=Action.APPROVAL_CANCEL,
            remedy=[Remedy("ask", "Have it cancelled by who asked.", (request.requester_ref,))],
        )
    _check_pending(request)
    endings.end(request, Status.CANCELLED)
    said = {"status": request.status, "comment": command.comment}
    return Change(request, {"status": Status.PENDING}, said, approval_request_id=request.pk)


def _check_decider(actor: Actor, request: ApprovalRequest) -> None:
    if str(actor.id) in request.askers or str(actor.principal_id) in request.askers:
        raise _refusal(request, "Who asks does not decide. Ask somebody else.")
    if not eligibility.meets(actor, request):
        raise _refusal(request, f"You cannot decide this. It takes {_takes(request)}.")
    if actor.token_id is not None and Demand.objects.filter(request=request, is_private=True).exists():
        words = "This call acts for you by what its session was started with. Answer it on the session, or signed in."
        raise _refusal(request, words)
    if hidden := exposure.unread(actor, request):
        raise _refusal(request, f"Who decides must be able to read what changes, and {len(hidden)} of it you cannot.")


def _takes(request: ApprovalRequest) -> str:
    """Return in words what somebody must be who decides one of its demands."""
    return ", or ".join(dict.fromkeys(_one_takes(demand) for demand in demands_of(request)))


def _one_takes(demand: Demand) -> str:
    place = shown(demand.ou.path)
    if demand.role_given_id:
        needed = f"{demand.approver_action} and every right of that role on {place}, for as long as it is asked for"
        return f"one of the {demand.approver}: they hold {needed}"
    return f"one of {demand.approver} on {place} ({demand.policy_name})"


def _refusal(request: ApprovalRequest, message: str) -> Denied:
    who = tuple(f"user:{email}" for email in approvers_of(request, demands_of(request)))
    remedy = Remedy("ask", "Have it decided by somebody who can.", who)
    return Denied(message, permission=Action.APPROVAL_DECIDE, remedy=[remedy])


def _check_pending(request: ApprovalRequest) -> None:
    if request.status != Status.PENDING:
        raise AlreadyDecided(f"This request is {request.status} already.", status=request.status)
    if request.expires_at <= timezone.now():
        raise Conflict("The time of this request is over. Ask again.", status=Status.EXPIRED)


def _move(request: ApprovalRequest, verdict: Verdict) -> None:
    if verdict == Verdict.REJECT:
        endings.end(request, Status.REJECTED)
        return
    demands = list(Demand.objects.filter(request=request).select_related("ou"))
    if not eligibility.unmet(request, demands):
        endings.approve(request)


def _said(request: ApprovalRequest, command: DecideRequest) -> dict[str, Any]:
    return {"status": request.status, "verdict": command.verdict, "comment": command.comment}
