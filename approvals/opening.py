"""Opening the request that holds a set, once the set itself was rolled back.

The same change asked again by the same person while it is pending is the same request. Sealed values and uploads that
the commands name are kept for as long as the request may wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any  # JSON
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.module_loading import import_string

from accounts.models import OU
from approvals import eligibility, notices, patterns, reasons
from approvals.demands import ACCESS_REQUEST, CONFIRMING, Asked
from approvals.effects import Effect
from approvals.matching import Match
from approvals.models import ApprovalRequest, Demand, Status
from approvals.rows import MOST_NAMED, demands_of, held_row
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
    """Return the function that opens the request, or finds the pending one, and answers as the edge shows it; its
    queries do not grow with the policies that hold it.
    """
    # Everything is read off the set now: outside, its rows are as they were before it.
    wanted = _request(actor, cases, caused, asked, stale)

    def open_it() -> dict[str, Any]:
        request, is_new = _opened(wanted, asked, actor)
        demands = demands_of(request)
        deciders = _deciders(request, demands)
        approvers = sorted(set(chain.from_iterable(deciders)))[:MOST_NAMED]
        why = reasons.of_hold(actor, request, cases[0].decision, matches, demands, deciders)
        return held_row(request, demands, approvers, is_new=is_new) | {"explain": why}

    return open_it


def foreteller(
    actor: Actor, cases: Sequence[Case], caused: Sequence[Effect], matches: Sequence[Match], asked: Sequence[Asked]
) -> Callable[[], dict[str, Any]]:
    """Return the function that says who would hold the set, which of its commands by their position, by which policies
    each, and why.
    """
    wanted = _request(actor, cases, caused, asked, [])
    held: dict[int, set[str]] = {}
    for match in matches:
        held.setdefault(id(match.effect.case), set()).add(match.policy.name)
    by = {str(place): sorted(held[id(case)]) for place, case in enumerate(cases) if id(case) in held}
    by_kind = {place for place, case in enumerate(cases) if case.command.action == ACCESS_REQUEST}
    positions = sorted({int(place) for place in by} | by_kind)

    def foretell() -> dict[str, Any]:
        demands = _placed(wanted, asked)
        deciders = _deciders(wanted, demands)
        why = reasons.of_hold(actor, wanted, cases[0].decision, matches, demands, deciders)
        policies = sorted({one.policy_name for one in asked})
        return {"policies": policies, "commands": positions, "by": by, "explain": why}

    return foretell


def _deciders(request: ApprovalRequest, demands: Sequence[Demand]) -> list[list[str]]:
    return eligibility.first_people(demands, but=request.askers, most=MOST_NAMED)


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
    demands = _placed(wanted, asked)
    wanted.save(force_insert=True)
    Demand.objects.bulk_create(demands)
    keep_staged(wanted.commands, wanted.expires_at + AFTER_EXPIRY)
    notices.note(wanted, "asked")
    audit.append([record_of(wanted, asked)], actor=actor)


def _placed(wanted: ApprovalRequest, asked: Sequence[Asked]) -> list[Demand]:
    """Return the demands, unsaved, and put the request where what it changes lies. What lies in an OU that is yet to be
    made is judged at the OU above it.
    """
    place = _places({wanted.effects[0]["ou_path"], *(one.ou_path for one in asked)}, wanted.organization_id)
    wanted.ou = place[wanted.effects[0]["ou_path"]]
    return [demand_row(wanted, one, place[one.ou_path]) for one in asked]


def _places(paths: Iterable[str], organization_id: UUID) -> dict[str, OU]:
    """Return for each path the OU there, or the nearest live one above; one query."""
    upward = {path: patterns.paths_to(path)[::-1] for path in paths}
    wanted = {path for ways in upward.values() for path in ways}
    ous = {ou.path: ou for ou in OU.objects.filter(Q(organization_id=organization_id), path__in=wanted)}
    return {
        path: next(ous[way] for way in ways if way in ous and (way == path or ous[way].archived_at is None))
        for path, ways in upward.items()
    }


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
        is_private=one.is_private,
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
