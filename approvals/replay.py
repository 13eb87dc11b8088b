"""Replaying what was approved: by a worker, once, through the same door, as the requester, under this moment's rights.

The row is the queue: `replay_due_at`. The set and the mark that it is applied are one transaction, so a worker killed
at any point has either done both or neither. A refusal fails the request with its reason; trouble with the database or
the like leaves it approved for the next look. What a request carries for being turned down runs here too.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any  # JSON
from uuid import UUID

from django.db import DatabaseError, transaction
from django.db.models import F, Q
from django.utils import timezone
from pydantic import ValidationError

import approvals.commands  # noqa: F401  registers the handlers of this app, should a request carry one
from approvals import notices
from approvals.models import ApprovalRequest, Outcome, Status
from approvals.tickets import Ticket, actor_from, restored
from powerloom.audit import log as audit
from powerloom.audit.log import Record
from powerloom.commands.bus import submit_all
from powerloom.kernel.errors import AlreadyDecided, Invalid, PowerloomError, TooMany, Unavailable
from powerloom.kernel.explanation import Remedy, plain
from powerloom.kernel.refs import Actor
from powerloom.kernel.states import transition

log = logging.getLogger(__name__)

REPLAYED = "approval:replay"
LEASE = timedelta(minutes=2)
BATCH = 20
LONGEST_WAIT = 300.0  # seconds between two looks at one request
LATER = (DatabaseError, TooMany, Unavailable)


def run() -> int:
    """Act on every request that is due. Returns how many were looked at."""
    looked = 0
    while due := _due():
        for id_ in due:
            if request := _claimed(id_):
                _act(request)
                looked += 1
        if len(due) < BATCH:
            break
    return looked


def _due() -> list[UUID]:
    now = timezone.now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    rows = ApprovalRequest.objects.filter(free, replay_due_at__lte=now).order_by("replay_due_at")
    return list(rows.values_list("pk", flat=True)[:BATCH])


def _claimed(id_: UUID) -> ApprovalRequest | None:
    """Take one request for a while, or return None when another worker has it."""
    now = timezone.now()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=now)
    claimed = ApprovalRequest.objects.filter(free, pk=id_, replay_due_at__lte=now).update(
        lease_until=now + LEASE, replay_attempts=F("replay_attempts") + 1
    )
    return ApprovalRequest.objects.select_related("ou").get(pk=id_) if claimed else None


def _act(request: ApprovalRequest) -> None:
    try:
        if request.status == Status.APPROVED:
            _replay(request)
        else:
            _run_on_reject(request)
    except LATER as error:
        _again(request, error)


def _replay(request: ApprovalRequest) -> None:
    try:
        commands = restored(request.commands)
        submit_all(commands, actor=actor_from(request.actor), ticket=Ticket(request))
    except LATER:
        raise
    except (KeyError, ValidationError) as error:
        _fail(request, Invalid(f"This version cannot replay it any more: {type(error).__name__}."))
    except PowerloomError as error:
        _fail(request, error)


def _fail(request: ApprovalRequest, error: PowerloomError) -> None:
    """Write why an approved request was not applied; one that another worker has applied meanwhile stays so."""
    detail = _plain({name: value for name, value in error.detail.items() if name != "explain"})
    failure = {"code": error.code, "message": error.message, "detail": detail, "explain": _explained(request, error)}
    with transaction.atomic(durable=True):
        row = ApprovalRequest.objects.select_for_update(of=("self",)).select_related("ou").get(pk=request.pk)
        if row.outcome:
            return
        try:
            transition(
                row, Status.FAILED, outcome=Outcome.FAILED, failure=failure, replay_due_at=None, lease_until=None
            )
        except AlreadyDecided:
            return
        record = Record(REPLAYED, "", row.target(), decision={"outcome": "failed", **failure})
        audit.append([record], actor=actor_from(row.actor), approval=Ticket(row))
        notices.note(row, "failed")


def _explained(request: ApprovalRequest, error: PowerloomError) -> Any:
    """Return why it was not applied, and who may ask again; what a refusal explains itself is kept."""
    found = dict(error.detail.get("explain") or plain(error.message).as_json())
    again = Remedy("ask_again", "Ask for the change again.", (request.requester_ref,))
    return found | {"remedy": [*found["remedy"], again.as_json()]}


def _run_on_reject(request: ApprovalRequest) -> None:
    """Run the one command for a request that ended unapproved. It may run twice, and is made for that."""
    if request.on_reject:
        actor = Actor.system("approvals", organization_id=request.organization_id)
        try:
            submit_all(restored([request.on_reject]), actor=actor)
        except LATER:
            raise
        except PowerloomError as error:
            # What it would have answered is over already; there is nothing left to tell it.
            log.info("Nothing to undo", extra={"approval_request": str(request.pk), "reason": error.message})
    ApprovalRequest.objects.filter(pk=request.pk).update(replay_due_at=None, lease_until=None)


def _again(request: ApprovalRequest, error: Exception) -> None:
    wait = min(LONGEST_WAIT, 2.0 ** min(request.replay_attempts, 16))
    log.warning("A replay is put off", extra={"approval_request": str(request.pk), "error": type(error).__name__})
    due = timezone.now() + timedelta(seconds=wait)
    ApprovalRequest.objects.filter(pk=request.pk).update(replay_due_at=due, lease_until=None)


def _plain(value: Any) -> Any:
    """Return the value as JSON can hold it."""
    if isinstance(value, dict):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)
