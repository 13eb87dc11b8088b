"""Lists of agents as people ask for them: by text, OU and sync state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from agents.kinds import SyncKind
from agents.models import Agent, AgentVersion
from agents.queries.agents import agents_visible_to
from powerloom.kernel.refs import Actor
from powerloom.reconcile import status
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.status import SyncStatus


def agents_matching(actor: Actor, *, text: str = "", under: str = "", sync: str = "") -> QuerySet[Agent]:
    """Return the visible agents with the text in a name, below the OU path, in the sync state; empty means any."""
    terms = Q()
    if text:
        terms &= Q(name__icontains=text) | Q(display_name__icontains=text)
    if under:
        terms &= Q(ou__path__startswith=f"{under.rstrip('/')}/")
    if sync in set(SyncStatus):
        terms &= Q(pk__in=_standing(actor, SyncStatus(sync)))
    return agents_visible_to(actor).filter(terms)


def sync_counts(actor: Actor) -> dict[SyncStatus, int]:
    """Return how many visible agents stand where; one query."""
    visible = agents_visible_to(actor).values("pk")
    rows = SyncState.objects.filter(kind=SyncKind.AGENT, object_id__in=visible)
    counted = rows.aggregate(**{word: Count("pk", filter=status.where(word)) for word in SyncStatus})
    return {word: counted[word] for word in SyncStatus}


def sync_states(kind: SyncKind, ids: Iterable[UUID]) -> dict[UUID, SyncState]:
    """Return the reconciler's rows of these objects, by object id."""
    return {state.object_id: state for state in SyncState.objects.filter(kind=kind, object_id__in=list(ids))}


def versions_before(versions: Sequence[AgentVersion]) -> list[AgentVersion]:
    """Return the versions that came right before these, all of one agent; one query."""
    if not versions:
        return []
    numbers = [version.number - 1 for version in versions]
    return list(AgentVersion.objects.filter(agent_id=versions[0].agent_id, number__in=numbers))


def _standing(actor: Actor, word: SyncStatus) -> QuerySet[SyncState, UUID]:
    mine = Q(kind=SyncKind.AGENT, organization_id=actor.organization_id)
    rows = SyncState.objects.filter(mine & status.where(word))
    return rows.values_list("object_id", flat=True)
