"""Tickets for a session's socket: single use, good for a minute, bound to who asked and to the session.

Only a keyed hash is kept. Spending is one UPDATE, so of two sockets with the same ticket one gets in. The ticket
carries its asker's token and narrowing: the socket has those rights, and ends with them.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from datetime import timedelta
from typing import Any  # JSON
from uuid import UUID

from django.utils import timezone

from powerloom.kernel.keys import keyed_hash
from powerloom.kernel.refs import Actor, Narrowing
from sessions.models import AgentSession, StreamTicket

PREFIX = "tk_"
LIFETIME = timedelta(seconds=60)
MOST_LENGTH = 128


class Refused(Exception):
    """The ticket opens nothing. `code` is for programs, `words` for people."""

    def __init__(self, code: str, words: str) -> None:
        super().__init__(code)
        self.code = code
        self.words = words


MISSING = ("ticket_missing", "This socket needs a ticket: ask for one at POST /sessions/{id}/tickets.")
UNKNOWN = ("ticket_unknown", "This ticket is not one of this session's.")
EXPIRED = ("ticket_expired", "This ticket is older than a minute. Ask for a new one at POST /sessions/{id}/tickets.")
SPENT = ("ticket_spent", "This ticket was used already. Ask for a new one at POST /sessions/{id}/tickets.")


def mint(session: AgentSession, actor: Actor) -> str:
    """Return a fresh ticket for a session that the actor was just seen to be allowed to read."""
    ticket = PREFIX + secrets.token_urlsafe(32)
    expires_at = timezone.now() + LIFETIME
    StreamTicket.objects.create(hmac=_hash(ticket), session=session, actor=as_json(actor), expires_at=expires_at)
    return ticket


def url_of(session_id: UUID, ticket: str) -> str:
    """Return the socket's address, relative to the base URL that the client used."""
    return f"/sessions/{session_id}/stream?ticket={ticket}"


def spend(ticket: str, session_id: UUID) -> Actor:
    """Use the ticket up and return whose it was. Raises `Refused` saying why not."""
    if not ticket:
        raise Refused(*MISSING)
    if len(ticket) > MOST_LENGTH or not ticket.isascii():
        raise Refused(*UNKNOWN)
    now = timezone.now()
    found = StreamTicket.objects.filter(pk=_hash(ticket), session_id=session_id)
    if found.filter(spent_at__isnull=True, expires_at__gt=now).update(spent_at=now) != 1:
        raise _refusal(found.first())
    return actor_from(found.get().actor)


def _refusal(ticket: StreamTicket | None) -> Refused:
    if ticket is None:
        return Refused(*UNKNOWN)
    return Refused(*(SPENT if ticket.spent_at else EXPIRED))


def _hash(ticket: str) -> str:
    return keyed_hash("stream-ticket", ticket)


def as_json(actor: Actor) -> dict[str, Any]:
    """Return an actor as JSON, whole, for `actor_from`."""
    kept = asdict(actor)
    ids = ("id", "principal_id", "organization_id", "token_id", "delegated_from_session")
    return kept | {name: str(kept[name]) if kept[name] else None for name in ids}


def actor_from(kept: dict[str, Any]) -> Actor:
    """Return the actor that `as_json` said."""
    ids = ("id", "principal_id", "organization_id", "token_id", "delegated_from_session")
    known = kept | {name: UUID(kept[name]) if kept[name] else None for name in ids}
    narrowing = kept["narrowing"]
    if narrowing:
        actions = narrowing["actions"]
        known["narrowing"] = Narrowing(tuple(actions) if actions is not None else None, narrowing["ou_path"])
    return Actor(**known)
