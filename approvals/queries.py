"""Reads of policies and requests. Whatever a function here returns, its actor may see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar
from uuid import UUID

from django.db.models import Exists, Model, OuterRef, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone

from accounts import rbac
from accounts.queries import root_of
from accounts.roles import AUDITOR
from approvals import eligibility
from approvals.actions import Action
from approvals.models import ApprovalPolicy, ApprovalRequest, Decision, Delivery, Demand, Status, Webhook
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor

M = TypeVar("M", bound=Model)
TABS = ("to_approve", "mine", "recent")


def policies_visible_to(actor: Actor) -> QuerySet[ApprovalPolicy]:
    """Return the live policies that the actor may read."""
    return (
        ApprovalPolicy.objects.filter(Q(organization_id=actor.organization_id), archived_at__isnull=True)
        .filter(rbac.permitted(actor, Action.APPROVAL_POLICY_READ, ou_field="scope_ou_id"))
        .select_related("scope_ou", "approver_role", "approver_group__ou")
    )


def policy_for_read(actor: Actor, policy_id: UUID) -> ApprovalPolicy:
    """Return a live policy that the actor may read. Raises `NotFound`."""
    return _one(policies_visible_to(actor), policy_id)


def policy_for_change(actor: Actor, policy_id: UUID) -> ApprovalPolicy:
    """As `policy_for_read`, locked until the end of the transaction."""
    return _one(policies_visible_to(actor).select_for_update(of=("self",)), policy_id)


def policies_for_change(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, ApprovalPolicy]:
    """As `policy_for_change`, for many at once, by id, locked in the order of their ids; the unseen are absent."""
    rows = policies_visible_to(actor).filter(pk__in=set(ids)).order_by("pk").select_for_update(of=("self",))
    return {policy.id: policy for policy in rows}


def requests_visible_to(actor: Actor) -> QuerySet[ApprovalRequest]:
    """Return the requests that the actor asked, decides, or may read by `approval:read`; a private one as Auditor."""
    named = eligibility.demanded_of(actor.principal_id).filter(request_id=OuterRef("pk"))
    mine = Q(requester_id=actor.id) if actor.id else Q(pk__in=[])
    private = Q(Exists(Demand.objects.filter(request_id=OuterRef("pk"), is_private=True)))
    right = rbac.permitted(actor, Action.APPROVAL_READ)
    seen = (mine | right) & ~private | right & rbac.held_through(actor, AUDITOR)
    if not _is_narrow(actor):
        seen |= Q(Exists(named))
    return ApprovalRequest.objects.filter(Q(organization_id=actor.organization_id)).filter(seen).select_related("ou")


def request_for_read(actor: Actor, request_id: UUID) -> ApprovalRequest:
    """Return a request that the actor may see. Raises `NotFound`."""
    return _one(requests_visible_to(actor), request_id)


def request_for_change(actor: Actor, request_id: UUID) -> ApprovalRequest:
    """As `request_for_read`, locked until the end of the transaction."""
    request_for_read(actor, request_id)
    return ApprovalRequest.objects.select_for_update(of=("self",)).select_related("ou").get(pk=request_id)


def to_approve(actor: Actor) -> QuerySet[ApprovalRequest]:
    """Return what waits for this person: pending, in time, named by a demand, not asked and not answered by it."""
    if actor.kind != "user" or actor.id is None or _is_narrow(actor):
        return ApprovalRequest.objects.none()
    answered = Decision.objects.filter(request_id=OuterRef("pk"), decider_id=actor.id)
    pending = ApprovalRequest.objects.filter(
        Q(organization_id=actor.organization_id), status=Status.PENDING, expires_at__gt=timezone.now()
    )
    if not pending.exists():  # whom a demand names costs much more to ask
        return ApprovalRequest.objects.none()
    named = eligibility.demanded_of(actor.principal_id).exclude(pk__in=eligibility.too_much_for(actor, pending))
    waiting = (
        pending.filter(Exists(named.filter(request_id=OuterRef("pk"))))
        .exclude(Exists(answered))
        .alias(asked_by=Cast("askers", TextField()))
    )
    return waiting.exclude(asked_by__contains=str(actor.id)).select_related("ou")


def webhooks_visible_to(actor: Actor) -> QuerySet[Webhook]:
    """Return the live webhooks, for who may read them at the root."""
    root = root_of(actor)
    if not rbac.may(actor, Action.WEBHOOK_READ, root.path).allowed:
        return Webhook.objects.none()
    rows = Webhook.objects.filter(Q(organization_id=actor.organization_id), archived_at__isnull=True)
    return rows.select_related("organization")


def webhook_for_read(actor: Actor, webhook_id: UUID) -> Webhook:
    """Return a live webhook that the actor may read. Raises `NotFound`."""
    return _one(webhooks_visible_to(actor), webhook_id)


def webhook_for_change(actor: Actor, webhook_id: UUID) -> Webhook:
    """As `webhook_for_read`, locked until the end of the transaction."""
    return _one(webhooks_visible_to(actor).select_for_update(of=("self",)), webhook_id)


def deliveries_of(hook: Webhook) -> QuerySet[Delivery]:
    """Return what was sent, or is to be sent, to a webhook that the caller already holds."""
    return Delivery.objects.filter(webhook=hook).select_related("notice")


def tab(actor: Actor, name: str) -> QuerySet[ApprovalRequest]:
    """Return the requests of one tab of the inbox."""
    if name == "to_approve":
        return to_approve(actor)
    seen = requests_visible_to(actor)
    return seen.filter(Q(requester_id=actor.id)) if name == "mine" else seen


def demands_of(requests: Sequence[ApprovalRequest]) -> dict[UUID, list[Demand]]:
    """Return the demands of each request; one query."""
    found: dict[UUID, list[Demand]] = {request.pk: [] for request in requests}
    for demand in Demand.objects.filter(request__in=list(found)).select_related("ou").order_by("policy_name", "pk"):
        found[demand.request_id].append(demand)
    return found


def decisions_of(requests: Sequence[ApprovalRequest]) -> dict[UUID, list[Decision]]:
    """Return what was said about each request, in order; one query."""
    found: dict[UUID, list[Decision]] = {request.pk: [] for request in requests}
    for decision in Decision.objects.filter(request__in=list(found)).order_by("created_at", "pk"):
        found[decision.request_id].append(decision)
    return found


def _is_narrow(actor: Actor) -> bool:
    """A token that does not carry `approval:decide` by name decides nothing, so it sees no more for it."""
    narrowing = actor.narrowing
    if actor.token_id is None:
        return narrowing is not None and narrowing.actions is not None
    return narrowing is None or narrowing.actions is None or Action.APPROVAL_DECIDE not in narrowing.actions


def _one(rows: QuerySet[M], pk: UUID) -> M:
    found = rows.filter(pk=pk).first()
    if found is None:
        raise NotFound
    return found
