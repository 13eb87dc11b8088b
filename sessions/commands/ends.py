"""What ends or renames a session: close it and keep what it said, delete it with all its events, give it another
title.
"""

from __future__ import annotations

from typing import Annotated, ClassVar
from uuid import UUID

from django.utils import timezone
from pydantic import BaseModel, ConfigDict, Field

from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import Conflict
from powerloom.kernel.refs import Actor
from sessions import bells, calls, ingest
from sessions import course as steps
from sessions.actions import Action
from sessions.commands.invoke import MAX_TITLE
from sessions.models import (
    ENDED,
    AgentSession,
    Owed,
    SessionEvent,
    SessionInput,
    Status,
    StreamTicket,
)
from sessions.queries import session_for_change


class CloseSession(Command):
    """End a session for good, here and on CMA; its events stay."""

    action: ClassVar[str] = Action.SESSION_CLOSE
    session_id: UUID


class DeleteSession(Command):
    """Remove a session and its events, here and on CMA. The trail keeps that it was there."""

    action: ClassVar[str] = Action.SESSION_DELETE
    session_id: UUID


class RenameFields(BaseModel):
    """Another title; null takes it away."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Annotated[str, Field(max_length=MAX_TITLE)] | None


class RenameSession(RenameFields, Command):
    """Give a session another title."""

    action: ClassVar[str] = Action.SESSION_RENAME
    session_id: UUID


def load_session(command: CloseSession | DeleteSession | RenameSession, actor: Actor) -> Subject:
    session = session_for_change(actor, command.session_id)
    return Subject(session, session.target(), own=session.invoked_by_id == actor.id)


@handles(CloseSession, load=load_session)
def close_session(command: CloseSession, *, subject: Subject, actor: Actor) -> Change:
    session: AgentSession = subject.row
    if session.closed_at is not None:
        raise Conflict("This session is closed already.")
    before = {"status": session.status}
    if session.status in ENDED:
        AgentSession.objects.filter(pk=session.pk).update(owed=_owed(session, Owed.ARCHIVE))
    else:
        owed = _owed(session, Owed.ARCHIVE)
        ingest.write(session.id, [steps.end(Status.TERMINATED, reason="closed", owed=owed)])
    AgentSession.objects.filter(pk=session.pk).update(closed_at=timezone.now(), changed_at=timezone.now())
    session.refresh_from_db()
    _ring(session)
    return Change(session, before, {"status": session.status})


@handles(DeleteSession, load=load_session)
def delete_session(command: DeleteSession, *, subject: Subject, actor: Actor) -> Change:
    session: AgentSession = subject.row
    before = {"status": session.status, "title": session.told_title, "event_count": session.event_count}
    if session.status not in ENDED:
        ingest.write(session.id, [steps.end(Status.TERMINATED, reason="deleted")])
    for rows in (SessionEvent, SessionInput, StreamTicket):
        rows.objects.filter(session=session).delete()
    now = timezone.now()
    AgentSession.objects.filter(pk=session.pk).update(
        deleted_at=now,
        changed_at=now,
        prompt="",
        title=None,
        last_error="",
        degradation=None,
        owed=_owed(session, Owed.DELETE),
        relay_id=None,
    )
    calls.look_again([session.pk])
    _ring(session)
    return Change(session, before, None)


@handles(RenameSession, load=load_session)
def rename_session(command: RenameSession, *, subject: Subject, actor: Actor) -> Change:
    session: AgentSession = subject.row
    before = session.told_title
    session.title = command.title
    session.changed_at = timezone.now()
    session.save(update_fields=["title", "changed_at"])
    _ring(session)
    return Change(session, {"title": before}, {"title": session.told_title})


def _owed(session: AgentSession, wish: Owed) -> str:
    """CMA has to hear of it only if it has, or may have, the session."""
    return wish if session.cma_session_id or session.create_attempted_at else Owed.NOTHING


def _ring(session: AgentSession) -> None:
    bells.ring_relays(session.id)
    bells.ring_readers(session.id)
