"""Reads for conversations: whom one may talk with, what one has talked about, which servers are Powerloom itself."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.law import shown
from agents.mcp.powerloom_meta import KIND
from agents.models import AgentMCPServer, MCPServer
from agents.queries import agents_invocable_by
from powerloom.kernel.refs import Actor
from sessions.models import AgentSession
from sessions.queries import sessions_visible_to

MOST_AGENTS = 200


@dataclass(frozen=True)
class Partner:
    """An agent that one may talk with; `is_meta` when it uses Powerloom itself."""

    id: UUID
    name: str
    ou_path: str
    is_meta: bool


def partners_of(actor: Actor) -> list[Partner]:
    """Return the agents that the actor may invoke, those that use Powerloom itself first; one query."""
    meta = AgentMCPServer.objects.filter(agent=OuterRef("pk"), server__deployment__template_kind=KIND)
    rows = agents_invocable_by(actor).annotate(is_meta=Exists(meta)).order_by("-is_meta", "name", "id")
    named = rows.values_list("id", "display_name", "ou__path", "is_meta")[:MOST_AGENTS]
    return [Partner(id_, name, shown(path), is_meta) for id_, name, path, is_meta in named]


def conversations_of(actor: Actor) -> QuerySet[AgentSession]:
    """Return the sessions that the actor started, newest first."""
    return sessions_visible_to(actor).filter(Q(invoked_by_id=actor.id)).order_by("-id")


def meta_names(agent_id: UUID) -> frozenset[str]:
    """Return the names by which the agent calls servers that are Powerloom itself; one query. The caller already holds
    a session of the agent.
    """
    attached = AgentMCPServer.objects.filter(agent=agent_id).values("server")
    named = MCPServer.objects.filter(pk__in=attached, deployment__template_kind=KIND)
    return frozenset(named.values_list("server_name", flat=True))
