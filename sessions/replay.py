"""What a session's page reads: a stretch of its events as turns, the same after a reload as live. The caller already
holds the session.

A stretch begins after a sequence number and says where it ended, so nothing is left out between two and nothing is
shown twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import QuerySet

from agents.queries.deployments import denials_in
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor
from sessions import lane, tools, transcript
from sessions.calls import against_answering, asking
from sessions.lane import Lane, Mark
from sessions.models import AgentSession, InputKind, SessionEvent, SessionInput
from sessions.tools import Called
from sessions.transcript import Turn

MOST = 500
MOST_CALLS = 2000  # events about calls
MOST_DIGITS = 18  # of the number of an event


@dataclass(frozen=True)
class Stretch:
    """Some events, drawn; `last_seq` is the last one in it, `has_more` whether others follow already."""

    turns: list[Turn]
    last_seq: int
    has_more: bool


def stretch(session: AgentSession, *, actor: Actor, after_seq: int = 0, raw: bool = False, most: int = MOST) -> Stretch:
    """Return the events after `after_seq` as turns, or with `raw` one by one; a constant number of queries. A call that
    asks says why the actor cannot answer it.
    """
    found = list(_events(session).filter(seq__gt=after_seq).order_by("seq")[: most + 1])
    events = found[:most]
    last_seq = events[-1].seq if events else after_seq
    turns = [transcript.raw(events)] if raw and events else _turns(session, events, actor)
    return Stretch(turns, last_seq, has_more=len(found) > most)


def is_seq(text: str) -> bool:
    """Tell whether the text can be the number of an event."""
    return text.isascii() and text.isdigit() and len(text) <= MOST_DIGITS


def event_of(session: AgentSession, seq: int) -> SessionEvent:
    """Return one event. Raises `NotFound`."""
    found = _events(session).filter(seq=seq).first()
    if found is None:
        raise NotFound
    return found


def lanes_of(session: AgentSession) -> list[Lane]:
    """Return the latest events in lanes, with the calls that asked and those that a policy denied; four queries."""
    latest = _events(session).order_by("-seq").values_list("seq", "event_type", "created_at")[:MOST]
    events = list(reversed(latest))
    if not events:
        return []
    since = events[0][2]
    asked = asking(session).filter(created_at__gte=since).values_list("seq", "created_at")
    said = _events(session).filter(event_type=transcript.CONFIRMATION, created_at__gte=since)
    answers = said.values_list("seq", "created_at", "payload__result")
    denied = denials_in(session.pk).filter(created_at__gte=since).values_list("created_at", "tool")[:MOST]
    marks = [
        *(Mark(lane.APPROVALS, at, "held", "asked", seq) for seq, at in asked),
        *(Mark(lane.APPROVALS, at, lane.ANSWERS.get(result, "off"), str(result), seq) for seq, at, result in answers),
        *(Mark(lane.DENIALS, at, "bad", tool) for at, tool in denied),
    ]
    return lane.lanes(events, marks)


def tool_calls(session: AgentSession) -> list[Called]:
    """Return what the session called, in order, the latest if there are very many; one query."""
    kinds = [*transcript.CALLS, *transcript.ANSWERS, transcript.CONFIRMATION]
    latest = _events(session).filter(event_type__in=kinds).order_by("-seq")[:MOST_CALLS]
    return tools.calls(list(reversed(latest)))


def waiting_inputs(session: AgentSession) -> list[SessionInput]:
    """Return what people wrote and the runtime has not got yet, oldest first."""
    waiting = SessionInput.objects.filter(
        session=session, kind=InputKind.MESSAGE, sent_at__isnull=True, attempted_at__isnull=True, refused=""
    )
    return list(waiting.order_by("id"))


def _events(session: AgentSession) -> QuerySet[SessionEvent]:
    return SessionEvent.objects.filter(session=session)


def _turns(session: AgentSession, events: list[SessionEvent], actor: Actor) -> list[Turn]:
    if not events:
        return []
    starts = list(_events(session).filter(event_type=transcript.TURN).order_by("seq").values_list("seq", flat=True))
    here = {event.remote_id for event in events}
    answered = transcript.answered(events) - here
    calls = list(_events(session).filter(remote_id__in=answered)) if answered else []
    refusals = against_answering(actor, session, events)
    return transcript.turns(events, calls=calls, starts=starts, refusals=refusals)
