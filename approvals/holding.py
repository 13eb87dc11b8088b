"""What a policy holds now, as far as its reader may see the requests."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, QuerySet

from approvals import queries
from approvals.models import ApprovalPolicy, ApprovalRequest, Demand, Status
from powerloom.kernel.refs import Actor


def requests(actor: Actor, policy: ApprovalPolicy) -> QuerySet[ApprovalRequest]:
    """Return the pending requests that wait for this policy, newest first."""
    asked = Demand.objects.filter(policy_id=policy.pk, request_id=OuterRef("pk"))
    pending = queries.requests_visible_to(actor).filter(status=Status.PENDING)
    return pending.filter(Exists(asked)).order_by("-id")


def counts(actor: Actor, policies: Sequence[ApprovalPolicy]) -> dict[UUID, int]:
    """Return how many pending requests wait for each of these policies; one query."""
    pending = queries.requests_visible_to(actor).filter(status=Status.PENDING)
    asked = Demand.objects.filter(policy_id__in=[policy.pk for policy in policies], request__in=pending)
    found = asked.values("policy_id").annotate(count=Count("request_id", distinct=True))
    return {row["policy_id"]: row["count"] for row in found if row["policy_id"]}
