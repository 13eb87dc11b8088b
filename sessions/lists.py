"""Lists of sessions as people ask for them: by text, status, agent, OU and flag."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Count, Q, QuerySet

from powerloom.kernel.refs import Actor
from sessions.models import AgentSession, Status
from sessions.queries import sessions_visible_to


def sessions_matching(
    actor: Actor, *, text: str = "", status: str = "", agent: str = "", under: str = "", flagged: bool = False
) -> QuerySet[AgentSession]:
    """Return the visible sessions that fit, with their agent and OU. Empty means any; an unknown agent matches none."""
    terms = Q()
    if text:
        terms &= Q(title__icontains=text) | Q(prompt__icontains=text)
    if status in Status.values:
        terms &= Q(status=status)
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


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
