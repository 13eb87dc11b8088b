"""Lists of sessions as people ask for them: by text, status, agent, OU and flag."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any  # rows of an aggregate
from uuid import UUID

from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from powerloom.kernel.refs import Actor
from sessions.models import AgentSession, Status
from sessions.queries import sessions_visible_to

WAITING = "waiting_for_approval"  # a condition of running, and a state of its own to people


def sessions_matching(
    actor: Actor,
    *,
    text: str = "",
    status: str = "",
    agent: str = "",
    under: str = "",
    flagged: bool = False,
    since: timedelta | None = None,
) -> QuerySet[AgentSession]:
    """Return the visible sessions that fit, with their agent and OU. Empty means any; an unknown agent matches none."""
    terms = Q()
    if text:
        terms &= Q(title__icontains=text) | Q(prompt__icontains=text)
    if status in Status.values:
        terms &= Q(status=status)
    elif status == WAITING:
        terms &= ~Q(waiting_for="")
    if since:
        terms &= Q(created_at__gte=timezone.now() - since)
    if agent:
        terms &= Q(agent_id=_id(agent))
    if under:
        terms &= Q(ou__path__startswith=f"{under.rstrip('/')}/")
    if flagged:
        terms &= Q(degradation_flagged=True)
    return sessions_visible_to(actor).filter(terms).select_related("agent", "ou")


def status_counts(actor: Actor) -> dict[str, int]:
    """Return how many visible sessions are in which status, and how many are flagged; one query."""
    counts = {status: Count("pk", filter=Q(status=status)) for status in Status.values}
    flagged = Count("pk", filter=Q(degradation_flagged=True))
    return sessions_visible_to(actor).aggregate(**counts, flagged=flagged)


def daily_counts(actor: Actor, since: datetime) -> list[dict[str, Any]]:
    """Return for each day since then on which a visible session began how many did, their MCP tool calls, and how many
    failed or timed out: rows of day, sessions, mcp_calls, failures; one query.
    """
    began = sessions_visible_to(actor).filter(created_at__gte=since).annotate(day=TruncDate("created_at")).order_by()
    bad = Q(status__in=[Status.FAILED, Status.TIMEOUT])
    rows = began.values("day").annotate(
        sessions=Count("pk"), mcp_calls=Sum("mcp_tool_use_count"), failures=Count("pk", filter=bad)
    )
    return [dict(row) for row in rows]


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
