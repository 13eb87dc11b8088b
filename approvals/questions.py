"""Questions: requests that no held command opens, because something below asks by itself and waits for the answer.

Like every request it has a requester, demands and a clock, and is replayed once. What it runs is the command that says
yes; the one that says no is kept for a rejection and for its end without an answer.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any  # what is shown is JSON
from uuid import UUID

from django.utils import timezone

from accounts.models import OU
from approvals import notices
from approvals.demands import Asked
from approvals.models import ApprovalRequest
from approvals.opening import demand_row, record_of
from approvals.tickets import actor_as_json, stored
from powerloom.audit.log import Record
from powerloom.commands.registry import Command
from powerloom.kernel.canonical import keyed_digest
from powerloom.kernel.keys import derived_key
from powerloom.kernel.refs import Actor, Target


@dataclass(frozen=True)
class Question:
    """One question. `askers` never decide it; `key` tells it from every other question of its requester; `shown` is all
    that who decides has to see; `runs_as` is the system's actor that says `yes` or `no`.
    """

    id: UUID
    action: str
    requester: Actor
    askers: Collection[UUID]
    target: Target
    ou: OU
    key: tuple[str, ...]
    shown: dict[str, Any]
    yes: Command
    no: Command
    runs_as: Actor
    asked: Asked


def open_question(question: Question) -> Record:
    """Open the request of a question, in the caller's transaction; who calls sees to it that each is opened once.

    Returns what the trail has to say, for the caller to append.
    """
    request = _request(question)
    request.save(force_insert=True)
    demand_row(request, question.asked, question.ou).save()
    notices.note(request, "asked")
    return record_of(request, [question.asked])


def forget(request_ids: Collection[UUID], *names: str) -> None:
    """Remove these parts of what is shown: what they were taken from is deleted. What was decided stays."""
    for request in ApprovalRequest.objects.filter(pk__in=request_ids).order_by("pk").select_for_update():
        gone = dict.fromkeys(names)
        request.diff = [{**one, "after": {**one["after"], **gone}} for one in request.diff]
        request.save(update_fields=["diff"])


def _request(question: Question) -> ApprovalRequest:
    now, target, asker = timezone.now(), question.target, question.requester
    assert asker.id is not None, "only somebody can ask"
    place = {"kind": target.kind, "id": str(target.id), "name": target.name, "ou_path": target.ou_path}
    return ApprovalRequest(
        id=question.id,
        organization_id=question.ou.organization_id,
        ou=question.ou,
        action=question.action,
        target_kind=target.kind,
        target_id=target.id,
        target_name=target.name,
        requester_id=asker.id,
        requester_ref=asker.ref,
        askers=sorted(str(id_) for id_ in question.askers),
        actor=actor_as_json(question.runs_as),
        commands=stored([question.yes]),
        on_reject=stored([question.no])[0],
        digest=keyed_digest(derived_key("approval_digest"), [str(asker.id), *question.key]),
        effects=[{"action": question.action, **place}],
        diff=[{"action": question.action, "target": place, "before": None, "after": question.shown}],
        created_at=now,
        expires_at=now + question.asked.ttl,
    )
