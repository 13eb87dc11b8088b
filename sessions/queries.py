"""Reads of sessions. Every function says who asks; what he may not see is absent.

A session is seen with `session:read` at its OU, and by who invoked it. A narrowed token stays narrow even on one's own.
One whose tools act for whoever invoked it is his: others see it only as Auditors, and none of them may change it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts import rbac, sign_in, tokens
from accounts.roles import AUDITOR
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor
from sessions.actions import Action
from sessions.course import EXPIRED
from sessions.models import ACTIVE, AgentSession, InputKind, SessionEvent, SessionInput, Status

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
    right = rbac.permitted(actor, Action.SESSION_READ)
    by_right = right & (Q(is_delegated=False) | rbac.held_through(actor, AUDITOR))
    return _there(actor).filter(by_right | _own(actor))


def sessions_to_go_on_with(actor: Actor) -> QuerySet[AgentSession]:
    """Return the sessions that the actor may read and that are not somebody else's alone."""
    return sessions_visible_to(actor).filter(Q(is_delegated=False) | Q(invoked_by_id=actor.id))


def session_for_read(actor: Actor, session_id: UUID) -> AgentSession:
    """Return one session that the actor may read. Raises `NotFound`."""
    return _one(sessions_visible_to(actor), session_id)


def session_for_change(actor: Actor, session_id: UUID) -> AgentSession:
    """Return a session that the actor may read and that is not somebody else's alone, locked until the end of the
    transaction. The right to change it is the bus's question. Raises `NotFound`.
    """
    return _one(sessions_to_go_on_with(actor).select_for_update(of=("self",)), session_id)


def session_as_parent(actor: Actor, session_id: UUID) -> AgentSession:
    """Return a session that another one may be said to come from. Raises `NotFound`."""
    return _one(sessions_to_go_on_with(actor), session_id)


def live_session_of(agent: UUID | OuterRef) -> QuerySet[AgentSession]:
    """Return the sessions of an agent that have not ended, in no order: for whoever must know that there is one, as a
    query or inside another one. Nobody's rights are asked.
    """
    return AgentSession.objects.filter(agent=agent, status__in=ALIVE, deleted_at__isnull=True)


def is_in_turn(session_id: UUID) -> bool:
    """Tell whether a turn of the session is under way that nobody has told to stop. Nobody's rights are asked.

    From just before a message is sent, because what its tools call may arrive before the runtime's word that it runs.
    """
    told = SessionInput.objects.filter(session=OuterRef("pk"), kind=InputKind.INTERRUPT, refused="")
    later = SessionInput.objects.filter(
        session=OuterRef("session"), kind=InputKind.MESSAGE, attempted_at__gt=OuterRef("created_at")
    )
    under_way = Q(turn_started_at__isnull=False) | Q(turn_left__isnull=False)
    rows = AgentSession.objects.filter(under_way, pk=session_id, status__in=ACTIVE, deleted_at__isnull=True)
    return rows.exclude(stop_reason=EXPIRED).filter(~Exists(told.filter(~Exists(later)))).exists()


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


def _there(actor: Actor) -> QuerySet[AgentSession]:
    rows = AgentSession.objects.filter(Q(organization_id=actor.organization_id), deleted_at__isnull=True)
    return rows.select_related("ou", "agent")


def _one(rows: QuerySet[AgentSession], session_id: UUID) -> AgentSession:
    found = rows.filter(pk=session_id).first()
    if found is None:
        raise NotFound
    return found
