"""Lists as people ask for them: by text, OU and state. What is counted is what the asker may see."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet

from agents.kinds import SyncKind
from agents.models import (
    Agent,
    AgentMCPServer,
    AgentSkill,
    AgentVersion,
    Credential,
    DeploymentStatus,
    MCPServer,
    MCPTool,
    ServerState,
    Skill,
)
from agents.queries.agents import agents_visible_to
from agents.queries.credentials import credentials_visible_to
from agents.queries.servers import servers_visible_to
from agents.queries.skills import skills_visible_to
from powerloom.kernel.refs import Actor
from powerloom.reconcile import status
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.status import SyncStatus

MOST_MEASURED = 1000
MOST_FOUND = 5
FOREIGN = "foreign"  # in place of a template, for servers that are not ours


def agents_matching(actor: Actor, *, text: str = "", under: str = "", sync: str = "") -> QuerySet[Agent]:
    """Return the visible agents with the text in a name, below the OU path, in the sync state; empty means any."""
    terms = named_like(text) & below(under)
    if sync in set(SyncStatus):
        terms &= Q(pk__in=_standing(actor, SyncKind.AGENT, SyncStatus(sync)))
    return agents_visible_to(actor).filter(terms)


def skills_matching(actor: Actor, *, text: str = "", under: str = "", sync: str = "") -> QuerySet[Skill]:
    """As `agents_matching`, of skills; one without a version stands nowhere. Each with its current version."""
    terms = named_like(text) & below(under)
    if sync in set(SyncStatus):
        terms &= Q(pk__in=_standing(actor, SyncKind.SKILL, SyncStatus(sync)))
    rows = skills_visible_to(actor).filter(terms).select_related("ou", "current_version")
    return rows.defer("current_version__archive")


def skill_users(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return how many agents that the actor may see have each of these skills; one query."""
    rows = AgentSkill.objects.filter(skill_id__in=list(ids), agent__in=agents_visible_to(actor).values("pk"))
    return dict(rows.values_list("skill_id").annotate(Count("pk")))


def servers_matching(
    actor: Actor, *, text: str = "", under: str = "", kind: str = "", problems: bool | None = None
) -> QuerySet[MCPServer]:
    """Return the visible MCP servers with the text in a name or URL, below the OU path, of a template or "foreign";
    `problems`: only those that somebody must look at, or only the others.
    """
    terms = (named_like(text) | Q(url__icontains=text) if text else Q()) & below(under)
    if kind:
        terms &= Q(deployment__isnull=True) if kind == FOREIGN else Q(deployment__template_kind=kind)
    rows = servers_visible_to(actor).filter(terms)
    if problems is None:
        return rows
    return rows.filter(_troubled()) if problems else rows.exclude(_troubled())


def server_users(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return how many agents that the actor may see have each of these servers; one query."""
    rows = AgentMCPServer.objects.filter(server_id__in=list(ids), agent__in=agents_visible_to(actor).values("pk"))
    return dict(rows.values_list("server_id").annotate(Count("pk")))


def credentials_matching(
    actor: Actor, *, text: str = "", under: str = "", agent: str = "", server: str = ""
) -> QuerySet[Credential]:
    """Return the visible credentials of agents or for servers with the text in a name, below the OU path; `agent` and
    `server` are ids.
    """
    terms = below(under, ou_field="agent__ou")
    if text:
        terms &= Q(agent__name__icontains=text) | Q(server__name__icontains=text)
    for field, id_ in (("agent_id", agent), ("server_id", server)):
        if id_:
            terms &= Q(**{field: as_id(id_)})
    return credentials_visible_to(actor).filter(terms)


def as_id(text: str) -> UUID | None:
    """Return the id that a filter names; None, which no row has, for what is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _troubled() -> Q:
    """Say of servers that they do not answer, that their deployment failed, or that tools are not as they were
    pinned.
    """
    as_pinned = Q(sha256=F("pinned_sha256")) & ~Q(sha256="")
    flagged = MCPTool.objects.filter(server=OuterRef("pk")).exclude(as_pinned)
    is_foreign = Q(deployment__isnull=True)
    failed = Q(deployment__status=DeploymentStatus.FAILED)
    return failed | (is_foreign & (Q(state=ServerState.FAILING) | Q(Exists(flagged))))


def named_like(text: str) -> Q:
    """Return the filter to rows with the text in a name; empty means any."""
    return Q(name__icontains=text) | Q(display_name__icontains=text) if text else Q()


def below(path: str, *, ou_field: str = "ou") -> Q:
    """Return the filter to rows in this OU or below; empty means any."""
    return Q(**{f"{ou_field}__path__startswith": f"{path.rstrip('/')}/"}) if path else Q()


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


def objects_on_runtime(remote_id: str) -> list[tuple[str, UUID]]:
    """Return what CMA calls so, as kind and our id; nobody's rights are asked: show only what its reader may see."""
    return list(SyncState.objects.filter(remote_id=remote_id).values_list("kind", "object_id")[:MOST_FOUND])


@dataclass(frozen=True)
class Stuck:
    """Something that does not become what is wanted by itself, or that another hand has changed."""

    kind: SyncKind
    id: UUID
    name: str
    state: SyncStatus
    since: datetime
    why: str


def stuck(actor: Actor, most: int) -> list[Stuck]:
    """Return the visible agents and skills that are parked or drifted, the newest first, at most so many of each; four
    queries.
    """
    visible = {SyncKind.AGENT: agents_visible_to(actor), SyncKind.SKILL: skills_visible_to(actor)}
    found = []
    for kind, rows in visible.items():
        law = status.where(SyncStatus.PARKED) | status.where(SyncStatus.DRIFTED)
        states = SyncState.objects.filter(law, kind=kind, object_id__in=rows.values("pk")).order_by("-updated_at")[
            :most
        ]
        by_id = {state.object_id: state for state in states}
        names = dict(rows.filter(pk__in=by_id).values_list("pk", "display_name"))
        found += [_stuck(kind, names[id_], state) for id_, state in by_id.items() if id_ in names]
    return found


def convergence_since(actor: Actor, since: datetime) -> list[tuple[datetime, float]]:
    """Return for each version of a visible agent that went live since then when it did, and how many seconds after it
    was declared; the newest thousand.
    """
    live = AgentVersion.objects.filter(agent__in=agents_visible_to(actor).values("pk"), live_at__gte=since)
    rows = live.order_by("-live_at").values_list("created_at", "live_at")[:MOST_MEASURED]
    return [(live_at, (live_at - created_at).total_seconds()) for created_at, live_at in rows if live_at]


def _stuck(kind: SyncKind, name: str, state: SyncState) -> Stuck:
    word = status.of(state)
    since = state.parked_at if word == SyncStatus.PARKED and state.parked_at else state.updated_at
    return Stuck(kind, state.object_id, name, word, since, state.last_error or state.condition)


def _standing(actor: Actor, kind: SyncKind, word: SyncStatus) -> QuerySet[SyncState, UUID]:
    mine = Q(kind=kind, organization_id=actor.organization_id)
    rows = SyncState.objects.filter(mine & status.where(word))
    return rows.values_list("object_id", flat=True)
