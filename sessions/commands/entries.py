"""What goes into a session that is under way: a message, an interrupt. Answers to tool calls are `calls`.

Each is a row; the relay sends it, in order, once.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar  # Any: CMA's events
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from accounts.models import Delegation
from agents.actions import Action as AgentAction
from powerloom.commands.registry import Change, Command, Need, Subject, handles
from powerloom.kernel.errors import Conflict, Denied
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from sessions import bells, calls, ingest
from sessions import course as steps
from sessions.actions import Action
from sessions.commands.invoke import Prompt, check_owner, lent, spec_of
from sessions.models import ENDED, AgentSession, InputKind, Owed, SessionInput, Status
from sessions.queries import session_for_change

MOST_WAITING = 100
LONGEST_AUTHOR = 320


class Entry(BaseModel):
    """Base of what a body says: frozen, and without fields that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MessageFields(Entry):
    """Something to do next."""

    text: Prompt


class SendMessage(MessageFields, Command):
    """Write to the agent. While it works the message waits. The same `key` again is the same message."""

    action: ClassVar[str] = Action.SESSION_MESSAGE
    session_id: UUID
    key: Annotated[str, Field(min_length=1, max_length=200)]


class InterruptSession(Command):
    """Stop what it does now. The session can go on with another message."""

    action: ClassVar[str] = Action.SESSION_INTERRUPT
    session_id: UUID


def load_entry(command: InterruptSession, actor: Actor) -> Subject:
    session = session_for_change(actor, command.session_id)
    return Subject(session, session.target(), own=session.invoked_by_id == actor.id)


def load_message(command: SendMessage, actor: Actor) -> Subject:
    """To go on with a session is to run its agent again, so it takes the same rights, the agent's own too."""
    session = session_for_change(actor, command.session_id)
    spec = spec_of(session.agent, session.agent_version)
    needs = (Need(AgentAction.AGENT_INVOKE, session.target()), *lent(session.agent, spec))
    return Subject(session, session.target(), own=session.invoked_by_id == actor.id, needs=needs)


@handles(SendMessage, load=load_message)
def send_message(command: SendMessage, *, subject: Subject, actor: Actor) -> Change:
    session: AgentSession = subject.row
    _check_open(session)
    if session.agent.archived_at is not None:
        raise Conflict("The agent of this session is archived. It cannot go on.")
    check_owner(session.agent)
    check_token(session, actor, command.action)
    waiting = SessionInput.objects.filter(session=session, sent_at__isnull=True, refused="")
    if waiting.count() >= MOST_WAITING:
        raise Conflict(f"{MOST_WAITING} messages wait already. Wait until the agent has read some.")
    event = {"type": "user.message", "content": [{"type": "text", "text": command.text}]}
    is_new = enter(session, InputKind.MESSAGE, command.key, event, actor.ref)
    if is_new and session.status == Status.IDLE_END_TURN:
        # An order to stop that came too late is about the turn before, not about this one.
        waiting.exclude(kind=InputKind.MESSAGE).update(refused="The turn had ended already.")
        ingest.write(session.id, [steps.wake])
        session.refresh_from_db()
    return Change(session, None, {"message": command.key, "length": len(command.text), "is_new": is_new})


@handles(InterruptSession, load=load_entry, holdable=False)
def interrupt_session(command: InterruptSession, *, subject: Subject, actor: Actor) -> Change:
    session: AgentSession = subject.row
    _check_open(session)
    stop(session, author_ref=actor.ref)
    return Change(session, None, {"status": session.status})


def stop(session: AgentSession, *, author_ref: str) -> None:
    """Have what is under way stopped: one that has not started ends at once."""
    if session.status == Status.PENDING:
        owed = Owed.ARCHIVE if session.create_attempted_at else ""
        ingest.write(session.id, [steps.end(Status.TERMINATED, reason="interrupted", owed=owed)])
        session.refresh_from_db()
    elif session.status == Status.RUNNING:
        interrupt(session, author_ref=author_ref)


def interrupt(session: AgentSession, *, author_ref: str) -> None:
    """Have a running session stopped; one order to stop is enough."""
    waiting = SessionInput.objects.filter(session=session, kind=InputKind.INTERRUPT, sent_at__isnull=True, refused="")
    if not waiting.exists():
        _insert(session, InputKind.INTERRUPT, f"interrupt:{new_id()}", {"type": "user.interrupt"}, author_ref)
    calls.look_again([session.id])
    bells.ring_relays(session.id)


def enter(session: AgentSession, kind: str, key: str, event: dict[str, Any], author_ref: str) -> bool:
    """Add an input unless its key is there; the session's row is locked, so nobody else adds it meanwhile."""
    is_new = not SessionInput.objects.filter(session=session, key=key).exists()
    if is_new:
        _insert(session, kind, key, event, author_ref[:LONGEST_AUTHOR])
    bells.ring_relays(session.id)
    bells.ring_readers(session.id)
    return is_new


def _insert(session: AgentSession, kind: str, key: str, event: dict[str, Any], author_ref: str) -> None:
    SessionInput.objects.create(id=new_id(), session=session, kind=kind, key=key, event=event, author_ref=author_ref)


def check_token(session: AgentSession, actor: Actor, action: str) -> None:
    """Raise `Denied` when what makes it go on comes by a token that the session was not started with: its tools would
    act by more than that token gives, and after it has ended.
    """
    if not session.is_delegated or actor.token_id is None:
        return
    if not Delegation.objects.filter(session_id=session.id, token_id=actor.token_id).exists():
        raise Denied(
            "This session acts for you by what it was started with. Go on with it by the same token, or signed in.",
            permission=str(action),
        )


def _check_open(session: AgentSession) -> None:
    if session.status in ENDED:
        raise Conflict("This session is over. Invoke the agent again to go on.", status=session.status)
