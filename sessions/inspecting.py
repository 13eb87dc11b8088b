"""What the inspector of a session shows besides one event: its tools, what keeps it from working, its audit trail.

Whoever asks already holds the session.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any  # template context
from uuid import UUID

from django.db.models import Q
from django.urls import reverse

from accounts.trail import entries_visible_to
from agents import standing
from agents.standing import Standing
from powerloom.audit.models import Entry
from powerloom.kernel.refs import Actor
from sessions import tools
from sessions.degradation import KNOWN, Server
from sessions.degradation import Standing as Stand
from sessions.models import AgentSession, ToolCall
from sessions.replay import tool_calls
from sessions.servers import standings

MOST_ENTRIES = 50


@dataclass(frozen=True)
class Diagnosis:
    """How the session's agent stands now, and how it stands with each server of the version that runs; `why` is what
    keeps it from the server, `fix` what mends it, both empty when nothing does.
    """

    agent: Standing
    servers: list[tuple[Server, str, str]]


def diagnosis(session: AgentSession) -> Diagnosis:
    """Return the diagnosis; a constant number of queries."""
    found = [(server, *_words(server)) for server in standings(session.pk)]
    return Diagnosis(standing.of([session.agent])[session.agent_id], found)


def entries(actor: Actor, session: AgentSession) -> list[Entry]:
    """Return the newest entries that the actor may read about the session, its calls that asked, and what was done from
    within it.
    """
    requests = ToolCall.objects.filter(session=session, request_id__isnull=False).values_list("request_id", flat=True)
    ids: list[UUID] = [session.pk, *(id_ for id_ in requests if id_)]
    about = Q(target_id__in=ids) | Q(delegated_from_session=session.pk)
    return list(entries_visible_to(actor).filter(about).order_by("-seq")[:MOST_ENTRIES])


def _words(server: Server) -> tuple[str, str]:
    if server.standing is Stand.GOOD:
        return "", ""
    words, fix = KNOWN[server.standing]
    why = f" ({server.why})" if server.why else ""
    return words.format(server=server.name, why=why), fix


def _tools(actor: Actor, session: AgentSession) -> dict[str, Any]:
    calls = tool_calls(session)
    return {"calls": calls, "uses": tools.uses(calls)}


def _diagnosis(actor: Actor, session: AgentSession) -> dict[str, Any]:
    return {"diagnosis": diagnosis(session)}


def _audit(actor: Actor, session: AgentSession) -> dict[str, Any]:
    return {"entries": entries(actor, session)}


@dataclass(frozen=True)
class Pane:
    """One pane of the inspector: its word, its template, and what it reads."""

    word: str
    template: str
    context: Callable[[Actor, AgentSession], dict[str, Any]]


PANES = {
    "tools": Pane("Tools", "sessions/_tools.html", _tools),
    "diagnosis": Pane("Diagnosis", "sessions/_diagnosis.html", _diagnosis),
    "audit": Pane("Audit", "sessions/_entries.html", _audit),
}


def links(session: AgentSession, current: str) -> list[dict[str, Any]]:
    """Return the panes as a page shows them; the first, Event, is what the number of an event opens."""
    rows = [{"name": "Event", "key": "", "url": "", "current": current not in PANES}]
    for key, pane in PANES.items():
        url = reverse("sessions:pane", args=[session.id, key])
        rows.append({"name": pane.word, "key": key, "url": url, "current": key == current})
    return rows
