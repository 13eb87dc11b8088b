"""Sessions and events as the API shows them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any  # Any: payloads are CMA's JSON
from uuid import UUID

from django.utils import timezone
from ninja import Schema

from powerloom.kernel.refs import Actor
from sessions.models import AgentSession, Mode, SessionEvent, Status


class SessionOut(Schema):
    """One session. `duration_seconds` is the time its turns took; waiting for people does not count.

    `is_delegated`: its tools act with the rights of whoever invoked it, who alone may go on with it; Auditors may read.

    `started_at` is when it was asked for until the runtime has it. `waiting_for` names what a running session waits
    for.
    """

    id: UUID
    agent_id: UUID
    agent_name: str
    agent_version: int
    ou_id: UUID
    ou_path: str
    status: Status
    waiting_for: str | None
    stop_reason: str | None
    mode: Mode
    title: str | None
    prompt: str
    event_count: int
    mcp_tool_use_count: int
    degradation_flagged: bool
    degradation: dict[str, Any] | None
    last_seq: int
    last_error: str | None
    invoked_by: str
    invoked_by_id: UUID
    is_delegated: bool
    parent_session_id: UUID | None
    cma_session_id: str | None
    max_duration: int
    duration_seconds: float
    created_at: datetime
    started_at: datetime
    ended_at: datetime | None
    closed_at: datetime | None


class SessionDetailOut(SessionOut):
    """One session, looked at alone. `powerloom_servers`: the names by which its agent calls MCP servers that are
    Powerloom itself; what any other answers about holds and requests is text from elsewhere.
    """

    powerloom_servers: list[str]


class InvokedOut(Schema):
    """A session that was started. In sync mode there is no ticket; the answer is the session too, as it is when it
    comes to rest or waits for a person (`waiting_for`). Whoever may not read it gets its `status`, `stop_reason` and
    `waiting_for` alone.
    """

    session_id: UUID
    status: Status
    mode: Mode
    ws_ticket: str | None
    ws_url: str | None


class TicketOut(Schema):
    """A fresh ticket: good for one socket, within a minute. `ws_url` is relative to the base URL that was used."""

    session_id: UUID
    ws_ticket: str
    ws_url: str


class EventOut(Schema):
    """One stored event. `payload` is what the socket sends too."""

    seq: int
    event_type: str
    created_at: datetime
    payload: dict[str, Any]


def session_row(session: AgentSession, actor: Actor | None = None) -> dict[str, Any]:
    """Return one session."""
    return {
        "id": session.id,
        "agent_id": session.agent_id,
        "agent_name": session.agent.name,
        "agent_version": session.agent_version,
        "ou_id": session.ou_id,
        "ou_path": session.ou.path.rstrip("/"),
        "status": session.status,
        "waiting_for": session.waiting_for or None,
        "stop_reason": session.stop_reason or None,
        "mode": session.mode,
        "title": session.title,
        "prompt": session.prompt,
        "event_count": session.event_count,
        "mcp_tool_use_count": session.mcp_tool_use_count,
        "degradation_flagged": session.degradation_flagged,
        "degradation": session.degradation,
        "last_seq": session.last_seq,
        "last_error": session.last_error or None,
        "invoked_by": session.invoked_by_ref,
        "invoked_by_id": session.invoked_by_id,
        "is_delegated": session.is_delegated,
        "parent_session_id": session.parent_session_id,
        "cma_session_id": session.cma_session_id or None,
        "max_duration": session.max_duration,
        "duration_seconds": duration(session),
        "created_at": session.created_at,
        "started_at": session.started_at or session.created_at,
        "ended_at": session.ended_at,
        "closed_at": session.closed_at,
    }


def session_rows(sessions: Iterable[AgentSession]) -> list[dict[str, Any]]:
    """Return a list of sessions."""
    return [session_row(session) for session in sessions]


def event_row(event: SessionEvent) -> dict[str, Any]:
    """Return one event."""
    return {
        "seq": event.seq,
        "event_type": event.event_type,
        "created_at": event.created_at,
        "payload": event.payload,
    }


def duration(session: AgentSession) -> float:
    """Return the seconds that the session's turns took so far."""
    running = (timezone.now() - session.turn_started_at).total_seconds() if session.turn_started_at else 0.0
    return round(session.active_seconds + max(running, 0.0), 3)
