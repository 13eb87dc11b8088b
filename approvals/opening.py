"""Opening the request that holds a set, once the set itself was rolled back.

The same change asked again by the same person while it is pending is the same request. Sealed values and uploads that
the commands name are kept for as long as the request may wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any  # JSON
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts.models import OU
from approvals import notices, reasons
from approvals.demands import CONFIRMING, Asked
from approvals.effects import Effect
from approvals.matching import Match
from approvals.models import ApprovalRequest, Demand, Status
from approvals.rows import demands_of, held_row
from approvals.tickets import actor_as_json, digest_of, ids_in, marks_of, stored
from powerloom.audit import log as audit
from powerloom.audit.log import Record
from powerloom.commands.registry import Case
from powerloom.kernel.errors import TooMany
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor

REQUESTED = "approval:request"
LONGEST_JUSTIFICATION = 2000
AFTER_EXPIRY = timedelta(days=1)  # the sealed values of a request outlive its clock, until its end is written


def opener(
    actor: Actor,
    cases: Sequence[Case],
    caused: Sequence[Effect],
    matches: Sequence[Match],
    asked: Sequence[Asked],
    stale: Sequence[dict[str, Any]],
) -> Callable[[], dict[str, Any]]:
    """Return the function that opens the request, or finds the pending one, and answers as the edge shows it."""
    # Everything is read off the set now: outside, its rows are as they were before it.
    wanted = _request(actor, cases, caused, asked, stale)

    def open_it() -> dict[str, Any]:
        request, is_new = _opened(wanted, asked, actor)
        demands = demands_of(request)
        why = reasons.of_hold(actor, request, cases[0].decision, matches, demands)
        return held_row(request, demands, is_new=is_new) | {"explain": why}

    return open_it


def _request(
    actor: Actor,
    cases: Sequence[Case],
    caused: Sequence[Effect],
    asked: Sequence[Asked],
    stale: Sequence[dict[str, Any]],
) -> ApprovalRequest:
    now, first = timezone.now(), cases[0]
    assert actor.id is not None, "only somebody can ask"
    assert actor.organization_id is not None, "policies belong to an organization"
    return ApprovalRequest(
        id=new_id(),
        organization_id=actor.organization_id,
        action=first.command.action,
        target_kind=first.target.kind,
        target_id=first.target.id,
        target_name=first.target.name,
        requester_id=actor.id,
        requester_ref=actor.ref,
        askers=sorted({str(id_) for id_ in (actor.id, actor.principal_id) if id_}),
        actor=actor_as_json(actor),
        commands=stored(case.command for case in cases),
        digest=digest_of(cases, actor),
        marks=marks_of(cases),
        effects=[effect.as_json() for effect in caused],
        diff=[_diff(case) for case in cases],
        cma_calls=list(stale),
        justification=actor.justification.strip()[:LONGEST_JUSTIFICATION],
        created_at=now,
        expires_at=now + min(one.ttl for one in asked),
    )


def _diff(case: Case) -> dict[str, Any]:
    change, target = case.change, case.target
    return {
        "action": case.command.action,
        "target": {"kind": target.kind, "id": str(target.id), "name": target.name, "ou_path": target.ou_path},
        "before": change.before if change else None,
        "after": change.after if change else None,
    }


def _opened(wanted: ApprovalRequest, asked: Sequence[Asked], actor: Actor) -> tuple[ApprovalRequest, bool]:
    if pending := _pending(wanted):
        return pending, False
    try:
        with transaction.atomic(durable=True):
            _insert(wanted, asked, actor)
        return wanted, True
    except IntegrityError:
        if pending := _pending(wanted):  # asked twice at the same moment: the other one opened it
            return pending, False
        raise


def _insert(wanted: ApprovalRequest, asked: Sequence[Asked], actor: Actor) -> None:
    _check_room(wanted)
    paths = {wanted.effects[0]["ou_path"], *(one.ou_path for one in asked)}
    ous = {ou.path: ou for ou in OU.objects.filter(Q(organization_id=wanted.organization_id), path__in=paths)}
    # What lies in an OU that is yet to be made is judged at the OU above it.
    place = {path: _nearest(path, ous, wanted.organization_id) for path in paths}
    wanted.ou = place[wanted.effects[0]["ou_path"]]
    wanted.save(force_insert=True)
    Demand.objects.bulk_create(demand_row(wanted, one, place[one.ou_path]) for one in asked)
    keep_staged(wanted.commands, wanted.expires_at + AFTER_EXPIRY)
    notices.note(wanted, "asked")
    audit.append([record_of(wanted, asked)], actor=actor)


def _nearest(path: str, ous: dict[str, OU], organization_id: UUID) -> OU:
    if path in ous:
        return ous[path]
    parts = path.strip("/").split("/")
    above = [f"/{'/'.join(parts[:count])}/" for count in range(1, len(parts))]
    found = OU.objects.filter(organization_id=organization_id, path__in=above, archived_at__isnull=True)
    nearest = found.order_by("-path").first()
    return nearest or OU.objects.get(organization_id=organization_id, parent__isnull=True)


def demand_row(request: ApprovalRequest, one: Asked, ou: OU) -> Demand:
    """Return one demand of a request, to be saved with it."""
    return Demand(
        request=request,
        policy_id=one.policy_id,
        policy_name=one.policy_name,
        policy_generation=one.policy_generation,
        ou=ou,
        approver_role_id=one.approver_role_id,
        approver_group_id=one.approver_group_id,
        approver_action=one.approver_action,
        approver_user_id=one.approver_user_id,
        role_given_id=one.role_given_id,
        seconds_given=one.seconds_given,
        approver=one.approver,
        quorum=one.quorum,
    )


def record_of(request: ApprovalRequest, asked: Sequence[Asked]) -> Record:
    """Return what the trail says of a request that was opened."""
    after = {
        "action": request.action,
        "target": {"kind": request.target_kind, "id": str(request.target_id), "name": request.target_name},
        "policies": sorted({one.policy_name for one in asked}),
        "doubts": sorted({one.doubt for one in asked if one.doubt}),
        "justification": request.justification,
        "expires_at": request.expires_at.isoformat(),
    }
    return Record(REQUESTED, "", request.target(), after=after, approval_request_id=request.pk)


def keep_staged(commands: Any, until: datetime) -> None:
    """Keep what the commands name and somebody would sweep: sealed values, uploads."""
    ids = list(ids_in(commands))
    for name in settings.STAGED:
        keep: Callable[[Iterable[UUID], datetime], object] = import_string(name)
        keep(ids, until)


def _pending(wanted: ApprovalRequest) -> ApprovalRequest | None:
    mine = {"organization_id": wanted.organization_id, "requester_id": wanted.requester_id, "digest": wanted.digest}
    # One whose time is over answers nobody any more, though no sweep has been by yet.
    waiting = ApprovalRequest.objects.filter(**mine, status=Status.PENDING, expires_at__gt=timezone.now())
    return waiting.select_related("ou").first()


def _check_room(wanted: ApprovalRequest) -> None:
    """Keep one person, and one organization, from filling everybody's inbox."""
    # What agents ask while they run is bounded by how many run, and takes no room from people.
    waiting = ApprovalRequest.objects.filter(organization_id=wanted.organization_id, status=Status.PENDING).exclude(
        action=CONFIRMING
    )
    for rows, most, whose in (
        (waiting.filter(requester_id=wanted.requester_id), settings.MAX_PENDING_PER_REQUESTER, "You have"),
        (waiting, settings.MAX_PENDING_PER_ORGANIZATION, "Your organization has"),
    ):
        if rows.count() >= most:
            raise TooMany(f"{whose} {most} pending requests, which is the most. Cancel or decide some.", retry_after=60)
