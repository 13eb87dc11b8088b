"""How far a deed reaches, in the words of the page that asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet
from django.urls import reverse

from agents.models import Agent
from agents.queries.radius import Radius, radius_of
from powerloom.kernel.refs import Actor
from powerloom.web.deeds import Reach


def agents_reached(actor: Actor, agents: QuerySet[Agent], words: str = "Agents that it reaches") -> list[Reach]:
    """Return the agents that a deed touches, and how many of their sessions have not ended; two queries."""
    found = radius_of(actor, agents)
    return [Reach(words, _linked(found), found.hidden), *sessions_reached(found)]


def sessions_reached(found: Radius) -> Sequence[Reach]:
    """Return the sessions of these agents that have not ended, as a number: who may read them is another question."""
    return [Reach("Sessions that have not ended", hidden=found.live_sessions)] if found.live_sessions else []


def _linked(found: Radius) -> list[tuple[str, str]]:
    return [(agent.display_name, reverse("agents:detail", args=[agent.id])) for agent in found.seen]
