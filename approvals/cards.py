"""The inbox as a reviewer reads it: the worst risk first and in it the newest, each request with all it takes to
decide it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any  # a tool call is JSON, a session another app's row
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from approvals import queries, risk
from approvals.exposure import Exposure, exposed_all
from approvals.models import ApprovalRequest, Decision, Demand, Status
from approvals.risk import Risk
from approvals.rows import tool_call
from powerloom.kernel.errors import Invalid
from powerloom.kernel.refs import Actor
from powerloom.web.lists import Page

MOST = 8  # each is a screen of a phone
SOON = timedelta(hours=12)
MOST_EARLIER = 3  # earlier requests about the same thing, on one card
MOST_LOOKED_AT = 300  # and for all cards of a page together
UNREADABLE = "You cannot read everything that this changes, so you cannot decide it."
_SALT = "powerloom.approvals.cards"


@dataclass(frozen=True)
class Card:
    """One request. `call` is the tool call that it is about, if it is; `refusal` says why its reader cannot decide it
    ("" when nothing keeps him); `earlier` is what was decided about the same thing before.
    """

    ask: ApprovalRequest
    risk: Risk
    demands: list[Demand]
    decisions: list[Decision]
    seen: Exposure
    call: dict[str, Any] | None
    earlier: list[ApprovalRequest]
    readable: set[UUID]  # the policies among those that hold it which the reader may open
    sessions: set[str]  # the sessions among those that it names which the reader may open
    refusal: str

    @property
    def yes(self) -> int:
        """How many have said yes so far."""
        return sum(decision.verdict == "approve" for decision in self.decisions)

    @property
    def ends_soon(self) -> bool:
        return self.ask.expires_at - timezone.now() < SOON


def waiting(actor: Actor, cursor: str, *, size: int = MOST) -> Page[ApprovalRequest]:
    """Return one screen of what waits for the actor. Raises `Invalid` on a cursor that is not ours."""
    rows = risk.ranked(queries.to_approve(actor))
    if cursor:
        rank, id_ = _place(cursor)
        rows = rows.filter(Q(rank__lt=rank) | Q(rank=rank, id__lt=id_))
    found: list[ApprovalRequest] = list(rows.order_by("-rank", "-id")[: size + 1])
    last = found[size - 1] if len(found) > size else None
    follows = signing.dumps([risk.RANKS[risk.of(last)], str(last.pk)], salt=_SALT) if last else ""
    return Page(found[:size], cursor, follows)


def of(actor: Actor, requests: Sequence[ApprovalRequest]) -> list[Card]:
    """Return the cards of requests that the actor may see; a constant number of queries."""
    demands, decisions = queries.demands_of(requests), queries.decisions_of(requests)
    earlier, readable = _earlier(actor, requests), _readable(actor, demands)
    seen = exposed_all(actor, requests)
    calls = [tool_call(request, exposure) for request, exposure in zip(requests, seen, strict=True)]
    sessions = _sessions(actor, requests, calls)
    return [
        Card(
            ask=request,
            risk=risk.of(request),
            demands=demands[request.pk],
            decisions=decisions[request.pk],
            seen=exposure,
            call=call,
            earlier=earlier[request.pk],
            readable=readable,
            sessions=sessions,
            refusal=UNREADABLE if exposure.unread else "",
        )
        for request, exposure, call in zip(requests, seen, calls, strict=True)
    ]


def _sessions(actor: Actor, requests: Sequence[ApprovalRequest], calls: Iterable[dict[str, Any] | None]) -> set[str]:
    """Return those of the sessions from which these were asked that the actor may open; one query at most."""
    named = {request.actor.get("delegated_from_session") for request in requests}
    named |= {call["session_id"] for call in calls if call}
    if not (asked := named - {None}):
        return set()
    rows: QuerySet[Any] = import_string(settings.VISIBLE_SESSIONS)(actor)
    return {str(id_) for id_ in rows.filter(pk__in=asked).order_by().values_list("pk", flat=True)}


def _readable(actor: Actor, demands: Mapping[UUID, Sequence[Demand]]) -> set[UUID]:
    named = {demand.policy_id for asked in demands.values() for demand in asked if demand.policy_id}
    return set(queries.policies_visible_to(actor).filter(pk__in=named).values_list("pk", flat=True))


def _earlier(actor: Actor, requests: Sequence[ApprovalRequest]) -> dict[UUID, list[ApprovalRequest]]:
    """Return what was asked before about the same thing, newest first: by its id, or by its name where each asking
    mints another id.
    """
    found: dict[UUID, list[ApprovalRequest]] = {request.pk: [] for request in requests}
    names = [_named(request) for request in requests]
    kinds, called, places = ({name[place] for name in names} for place in range(3))
    same = Q(target_id__in=[request.target_id for request in requests])
    same |= Q(target_kind__in=kinds, target_name__in=called, ou_id__in=places)
    past = ApprovalRequest.objects.filter(same, Q(organization_id=actor.organization_id)).exclude(status=Status.PENDING)
    if not past.exists():  # most have no past, and to ask for the visible ones costs most of a page
        return found
    rows = queries.requests_visible_to(actor).filter(same).exclude(status=Status.PENDING).order_by("-id")
    for one in rows[:MOST_LOOKED_AT]:
        for request in requests:
            is_same = one.target_id == request.target_id or _named(one) == _named(request)
            if one.pk != request.pk and is_same and len(found[request.pk]) < MOST_EARLIER:
                found[request.pk].append(one)
    return found


def _named(request: ApprovalRequest) -> tuple[str, str, UUID]:
    return request.target_kind, request.target_name, request.ou_id


def _place(cursor: str) -> tuple[int, UUID]:
    try:
        rank, id_ = signing.loads(cursor, salt=_SALT)
        return int(rank), UUID(id_)
    except (signing.BadSignature, ValueError) as error:
        raise Invalid("This cursor is not one of ours. Start again without it.", field="cursor") from error
