"""How much a held change can do, so that a reviewer reads the worst first.

| risk | what |
|---|---|
| high | who may do what, what guards it, secrets, ways out; and a tool call, which nobody can take back |
| medium | what agents are and reach |
| low | all else |

A set is as risky as the riskiest thing that it does. It orders the inbox and decides nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any  # `rank` is no field, so rows that have it are of no type

from django.db.models import Case, IntegerField, Q, QuerySet, TextField, Value, When
from django.db.models.functions import Cast

from approvals.models import ApprovalRequest


class Risk(StrEnum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


HIGH = (
    "access_request:",
    "agent:assign_owner",
    "agent:delegate",
    "approval_policy:",
    "credential:",
    "egress_rule:",
    "file_root:",
    "group:",
    "role:",
    "role_binding:",
    "secret:",
    "skill:grant",
    "token:",
    "tool_call:",
    "user:",
)
MEDIUM = ("agent:", "mcp_deployment:", "mcp_server:", "skill:")
RANKS = {Risk.HIGH: 3, Risk.MEDIUM: 2, Risk.LOW: 1}


def of(request: ApprovalRequest) -> Risk:
    """Return the risk of one request. Pure."""
    actions = [request.action, *(effect["action"] for effect in request.effects)]
    if any(action.startswith(HIGH) for action in actions):
        return Risk.HIGH
    return Risk.MEDIUM if any(action.startswith(MEDIUM) for action in actions) else Risk.LOW


def ranked(requests: QuerySet[ApprovalRequest]) -> QuerySet[Any]:
    """Return the requests with `rank`: what `RANKS` says of their risk."""
    whens = [
        When(_doing(HIGH), then=Value(RANKS[Risk.HIGH])),
        When(_doing(MEDIUM), then=Value(RANKS[Risk.MEDIUM])),
    ]
    return requests.alias(done=Cast("effects", TextField())).annotate(
        rank=Case(*whens, default=Value(RANKS[Risk.LOW]), output_field=IntegerField())
    )


def _doing(starts: tuple[str, ...]) -> Q:
    """An effect's action stands in quotes in the stored JSON, where no name can hold an unescaped one."""
    terms = Q()
    for start in starts:
        terms |= Q(action__startswith=start) | Q(done__contains=f'"action": "{start}')
    return terms
