"""The inbox over REST: what waits, what it would do, and saying yes or no."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal  # Any: changes are JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Query, Router, Schema

from approvals import bulk, expiry, queries
from approvals.bulk import Several
from approvals.commands import CancelRequest, DecideRequest
from approvals.commands.policies import Part
from approvals.commands.requests import Comment
from approvals.exposure import exposed, names
from approvals.models import ApprovalRequest, Verdict
from approvals.rows import request_detail, request_rows
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["approvals"])

INBOX_PAGE = 50


class Said(Schema):
    decider_id: UUID
    decider_ref: str
    verdict: str
    comment: str
    created_at: datetime


class Asks(Schema):
    policy_id: UUID | None
    policy_name: str
    ou_path: str
    approver: str
    quorum: int


class RequestOut(Schema):
    """A request as lists show it."""

    id: UUID
    status: str
    outcome: str | None
    resource_kind: str
    action: str
    full_action: str
    target: dict[str, Any]
    requester_id: UUID
    requester_email: str
    requester_ref: str
    policy_name: str
    scope_ou_id: UUID
    scope_ou_path: str
    justification: str
    pending_payload: dict[str, Any]
    command_count: int
    demands: list[Asks]
    decisions: list[Said]
    created_at: datetime
    expires_at: datetime
    decided_at: datetime | None
    applied_at: datetime | None


class RequestDetailOut(RequestOut):
    """A request with all that is needed to decide it."""

    changes: list[dict[str, Any]]
    effects: list[dict[str, Any]]
    commands: list[dict[str, Any]]
    tool_call: dict[str, Any] | None
    cma_calls: list[dict[str, Any]]
    approvers: list[str]
    delegated_from_session: UUID | None
    failure: dict[str, Any] | None
    cannot_read: list[str]


class InboxFilter(Schema):
    tab: Literal["to_approve", "mine", "recent"] = "to_approve"
    status: str | None = None


class DecisionIn(Part):
    comment: Comment = ""


class Decided(Schema):
    """What became of one of them: its status now, or the error that deciding it alone would have answered."""

    id: UUID
    status: str | None
    error: dict[str, Any] | None


class BulkDecideOut(Schema):
    results: list[Decided]


class BulkCancelIn(Part):
    comment: Comment = ""
    resource_kind: str | None = None
    scope_ou_id: UUID | None = None


class BulkCancelOut(Schema):
    cancelled_count: int
    skipped_ids: list[UUID]


@router.get("/approvals", response=list[RequestOut], summary="List approval requests")
def list_requests(request: HttpRequest, wanted: Query[InboxFilter]) -> HttpResponseBase:
    found = queries.tab(actor_of(request), wanted.tab)
    if wanted.status is not None:
        found = found.filter(status=wanted.status)
    return listing(request, found, partial(_rows, actor_of(request)), default_limit=INBOX_PAGE)


@router.post("/approvals/bulk-cancel", response=BulkCancelOut, summary="Cancel your own pending requests")
def bulk_cancel(request: HttpRequest, body: BulkCancelIn) -> HttpResponse:
    return JsonResponse(
        bulk.cancel(actor_of(request), body.comment, noun=body.resource_kind, scope_ou_id=body.scope_ou_id)
    )


@router.post("/approvals/bulk-decide", response=BulkDecideOut, summary="Approve or reject several requests")
def bulk_decide(request: HttpRequest, body: Several) -> HttpResponse:
    return JsonResponse({"results": bulk.decide(actor_of(request), body.ids, body.verdict, body.comment)})


@router.get("/approvals/{uuid:request_id}", response=RequestDetailOut, summary="Get an approval request")
def get_request(request: HttpRequest, request_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    return JsonResponse(detail(queries.request_for_read(actor, request_id), actor))


@router.post("/approvals/{uuid:request_id}/approve", response=RequestDetailOut, summary="Approve a request")
def approve(request: HttpRequest, request_id: UUID, body: DecisionIn) -> HttpResponse:
    return _decide(request, request_id, Verdict.APPROVE, body.comment)


@router.post("/approvals/{uuid:request_id}/reject", response=RequestDetailOut, summary="Reject a request")
def reject(request: HttpRequest, request_id: UUID, body: DecisionIn) -> HttpResponse:
    return _decide(request, request_id, Verdict.REJECT, body.comment)


@router.post("/approvals/{uuid:request_id}/cancel", response=RequestDetailOut, summary="Cancel your own request")
def cancel(request: HttpRequest, request_id: UUID, body: DecisionIn) -> HttpResponse:
    command = CancelRequest(request_id=request_id, comment=body.comment)
    return perform(request, command, render=detail, find=queries.request_for_read)


def detail(found: ApprovalRequest, actor: Actor) -> dict[str, Any]:
    """Return a request as this actor may see it."""
    demands, decisions = queries.demands_of([found]), queries.decisions_of([found])
    return request_detail(found, demands[found.pk], decisions[found.pk], exposed(actor, found))


def _decide(request: HttpRequest, request_id: UUID, verdict: Verdict, comment: str) -> HttpResponse:
    queries.request_for_read(actor_of(request), request_id)
    expiry.end_if_late(request_id)
    command = DecideRequest(request_id=request_id, verdict=verdict, comment=comment)
    return perform(request, command, render=detail, find=queries.request_for_read)


def _rows(actor: Actor, found: Sequence[ApprovalRequest]) -> list[dict[str, Any]]:
    return request_rows(found, queries.demands_of(found), queries.decisions_of(found), names(actor, found))
