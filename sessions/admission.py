"""Who gets in by a ticket: its owner, while he may still see the session; and the newest one takes the session over."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import F

from powerloom.kernel.refs import Actor
from sessions.course import AT_REST
from sessions.models import AgentSession
from sessions.queries import still_visible
from sessions.tickets import Refused, spend

SIGNED_OUT = ("signed_out", "Sign in again.")
LOST = ("right_lost", "You may not see this session any more.")


@dataclass(frozen=True)
class Viewer:
    """Who follows a session by ticket. `epoch` tells the newest viewer from older ones."""

    actor: Actor
    epoch: int
    came_at_rest: bool


def admit(ticket: str, session_id: UUID) -> Viewer:
    """Spend the ticket, look whether its owner may still see the session, and take it over. Raises `Refused`."""
    actor = spend(ticket, session_id)
    seen = still_visible(actor, [session_id])
    if seen is None:
        raise Refused(*SIGNED_OUT)
    if not seen:
        raise Refused(*LOST)
    session = AgentSession.objects.filter(pk=session_id)
    session.update(viewer_epoch=F("viewer_epoch") + 1)
    status, epoch = session.values_list("status", "viewer_epoch").get()
    return Viewer(actor, epoch, status in AT_REST)
