"""Reads of sessions. Every function says who asks; what he may not see is absent.

A session is seen with `session:read` at its OU, and by who invoked it. A narrowed token stays narrow even on one's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet

from accounts import rbac, sign_in, tokens
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor
from sessions.actions import Action
from sessions.models import ACTIVE, AgentSession, SessionEvent, Status

ALIVE = (*ACTIVE, Status.IDLE_END_TURN)  # what can still go on


@dataclass(frozen=True)
class Filters:
    """What a list of sessions may be narrowed to; None means any."""

    agent_id: UUID | None = None
    ou_id: UUID | None = None  # exactly this OU
    statuses: Sequence[str] | None = None
    degradation_flagged: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    def terms(self) -> Q:
        """Return the filter."""
        named = {
            "agent_id": self.agent_id,
            "ou_id": self.ou_id,
            "status__in": self.statuses,
            "degradation_flagged": self.degradation_flagged,
            "created_at__gte": self.since,
            "created_at__lt": self.until,
        }
        return Q(**{name: value for name, value in named.items() if value is not None})


def sessions_visible_to(actor: Actor) -> QuerySet[AgentSession]:
    """Return the sessions that the actor may read, with their OU and agent."""
    return (
        AgentSession.objects.filter(Q(organization_id=actor.organization_id), deleted_at__isnull=True)
        .filter(rbac.permitted(actor, Action.SESSION_READ) | _own(actor))
        .select_related("ou", "agent")
    )


def session_for_read(actor: Actor, session_id: UUID) -> AgentSession:
    """Return one session that the actor may read. Raises `NotFound`."""
    return _one(sessions_visible_to(actor), session_id)


def session_for_change(actor: Actor, session_id: UUID) -> AgentSession:
    """As `session_for_read`, locked until the end of the transaction. The right to change it is the bus's question."""
    return _one(sessions_visible_to(actor).select_for_update(of=("self",)), session_id)


def live_session_of(agent: UUID | OuterRef) -> QuerySet[AgentSession]:
    """Return the sessions of an agent that have not ended, in no order: for whoever must know that there is one, as a
    query or inside another one. Nobody's rights are asked.
    """
    return AgentSession.objects.filter(agent=agent, status__in=ALIVE, deleted_at__isnull=True)


def events_after(session: AgentSession, seq: int, *, limit: int) -> list[SessionEvent]:
    """Return the session's next events, in order. The caller already holds the session."""
    return list(SessionEvent.objects.filter(session=session, seq__gt=seq).order_by("seq")[:limit])


def still_visible(actor: Actor, session_ids: Iterable[UUID], session_key: str = "") -> set[UUID] | None:
    """Return those of the sessions that the actor may still read. None when what it came with is over: its token, its
    account, its password, or the console session of the key.
    """
    if not tokens.is_good(actor) or (session_key and not sign_in.is_open(session_key, actor.id)):
        return None
    return set(sessions_visible_to(actor).filter(pk__in=list(session_ids)).values_list("pk", flat=True))


def _own(actor: Actor) -> Q:
    """One's own sessions, as far as the token reaches."""
    nothing = Q(pk__in=[])
    narrowing = actor.narrowing
    if actor.id is None or (
        narrowing and narrowing.actions is not None and Action.SESSION_READ not in narrowing.actions
    ):
        return nothing
    own = Q(invoked_by_id=actor.id)
    return own & Q(ou__path__startswith=narrowing.ou_path) if narrowing and narrowing.ou_path else own


def _one(rows: QuerySet[AgentSession], session_id: UUID) -> AgentSession:
    found = rows.filter(pk=session_id).first()
    if found is None:
        raise NotFound
    return found
