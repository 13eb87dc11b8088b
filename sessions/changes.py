"""What has changed in an organization, by kind, for the pages that are open: those that show such things ask again.

| kind | what it is about |
|---|---|
| `agent`, `skill`, `approval`, … | what was done or refused: the noun of the action in the trail; `audit` with each |
| `session` | sessions whose status, words or title are others |
| `sync` | what the runtime has to get, has got, waits for or has refused |
| `mcp_deployment` | deployments on their way |

A look reads what is small whatever the number of rows: the ends of the chains, the newest changes, what is due. It
never says which thing changed, so nothing is told that only some may know: what a page shows is asked for as ever.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from agents.models import MCPDeployment
from powerloom.audit.models import ChainHead, Entry
from powerloom.reconcile.models import SyncState
from sessions.models import AgentSession

RECENT = timedelta(seconds=30)  # longer than any transaction that changes a session
MOST = 500  # rows of each kind a look reads; beyond them all is in motion anyway

Rows = frozenset[Hashable]


@dataclass(frozen=True)
class Mark:
    """How an organization stood at one look."""

    seq: int = 0
    sessions: Rows = frozenset()
    syncing: Rows = frozenset()
    deploying: Rows = frozenset()


def marks_of(organizations: Collection[UUID]) -> dict[UUID, Mark]:
    """Return how each organization stands now; four queries for any number of them."""
    seqs = dict(ChainHead.objects.filter(pk__in=organizations).values_list("pk", "seq"))
    sessions = AgentSession.objects.filter(
        organization_id__in=organizations, changed_at__gt=timezone.now() - RECENT
    ).order_by("-changed_at")
    due = SyncState.objects.filter(organization_id__in=organizations, is_due=True)
    due = due.order_by("organization_id", "urgency", "due_at")  # as its index goes
    moving = MCPDeployment.objects.filter(organization_id__in=organizations, due_at__isnull=False)
    of_sessions = _by_organization(sessions.values_list("organization_id", "pk", "changed_at")[:MOST])
    of_syncing = _by_organization(
        due.values_list("organization_id", "pk", "generation", "attempts", "waits_for")[:MOST]
    )
    of_deploying = _by_organization(moving.values_list("organization_id", "pk", "status", "attempts")[:MOST])
    return {id_: Mark(seqs.get(id_, 0), of_sessions[id_], of_syncing[id_], of_deploying[id_]) for id_ in organizations}


def kinds_between(organization_id: UUID, before: Mark, after: Mark) -> set[str]:
    """Return the kinds of what changed between two looks; one query when something was done."""
    kinds = set()
    if after.sessions - before.sessions:  # one that is only no longer recent has not changed
        kinds.add("session")
    if after.syncing != before.syncing:
        kinds.add("sync")
    if after.deploying != before.deploying:
        kinds.add("mcp_deployment")
    if after.seq > before.seq:
        done = Entry.objects.filter(chain_id=organization_id, seq__gt=before.seq, seq__lte=after.seq)
        actions = done.order_by().values_list("action", flat=True).distinct()
        kinds |= {"audit"} | {action.partition(":")[0] for action in actions}
    return kinds


def _by_organization(rows: Iterable[tuple[UUID, *tuple[Hashable, ...]]]) -> defaultdict[UUID, Rows]:
    found: defaultdict[UUID, set[Hashable]] = defaultdict(set)
    for organization_id, *rest in rows:
        found[organization_id].add(tuple(rest))
    return defaultdict(frozenset, {id_: frozenset(those) for id_, those in found.items()})
