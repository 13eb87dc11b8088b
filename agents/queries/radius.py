"""What a deed reaches, for whoever is about to do it: how many there are, and those by name that he may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils.module_loading import import_string

from agents.models import Agent, Credential, MCPServer
from agents.queries.agents import agents_visible_to
from powerloom.kernel.refs import Actor

MOST_NAMED = 20


@dataclass(frozen=True)
class Radius:
    """Agents that something reaches: those that the asker may see, at most `MOST_NAMED`, and how many more."""

    seen: Sequence[Agent]
    hidden: int
    live_sessions: int

    @property
    def count(self) -> int:
        return len(self.seen) + self.hidden


def radius_of(actor: Actor, agents: QuerySet[Agent]) -> Radius:
    """Return how far something reaches that touches these agents; two queries."""
    running = import_string(settings.LIVE_SESSION)(OuterRef("pk")).order_by().values("agent_id")
    of_one = Subquery(running.annotate(of_agent=Count("pk")).values("of_agent"), output_field=IntegerField())
    # The sum has a name of its own: by that of what it adds, it would hide it.
    every = agents.order_by().annotate(of_one=of_one).aggregate(agents=Count("pk"), live=Sum("of_one"))
    seen = list(agents_visible_to(actor).filter(pk__in=agents.order_by().values("pk")).order_by("name")[:MOST_NAMED])
    return Radius(seen, every["agents"] - len(seen), every["live"] or 0)


def live_credentials_of(*, agent: Agent | None = None, server: MCPServer | None = None) -> int:
    """Return how many live credentials an agent or a server has."""
    owners = {name: row for name, row in (("agent", agent), ("server", server)) if row is not None}
    return Credential.objects.filter(Q(**owners), archived_at__isnull=True).count()
