"""What a change means for the reconciler, in one place: which of our objects CMA must now hold, and which must move.

Called by handlers inside the transaction of their change, so that change and intent stand or fall together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from django.db.models import Q

from agents.kinds import SyncKind
from agents.models import AgentMCPServer, Credential, MCPServer, Skill, SkillVersion
from agents.queries.servers import users_of_servers
from agents.queries.skills import following
from powerloom.reconcile import intents
from powerloom.reconcile.models import SyncState


def agents_declared(ids: Sequence[UUID], *, organization_id: UUID) -> None:
    """New agents: they, and the environment that their organization's agents share, must exist on CMA."""
    if not SyncState.objects.filter(kind=SyncKind.ENVIRONMENT, object_id=organization_id).exists():
        intents.declare(SyncKind.ENVIRONMENT, [organization_id], organization_id=organization_id)
    intents.declare(SyncKind.AGENT, ids, organization_id=organization_id)


def agents_changed(ids: Iterable[UUID], *, urgent: bool = False) -> None:
    """What these agents should be has changed: new spec, archived, or another skill version underneath.

    `urgent` when it takes something away from them.
    """
    intents.mark_stale(SyncKind.AGENT, ids, urgent=urgent)


def skills_changed(skills: Sequence[Skill], *, urgent: bool = False) -> None:
    """Names or lives of these skills have changed. One without a version is not known to the reconciler yet."""
    if skills:
        intents.mark_stale(SyncKind.SKILL, [skill.id for skill in skills], urgent=urgent)


def version_uploaded(skill: Skill, version: SkillVersion) -> None:
    """A new version must exist on CMA, and with the first one the skill itself."""
    if version.number == 1:
        intents.declare(SyncKind.SKILL, [skill.id], organization_id=skill.organization_id)
    intents.declare(SyncKind.SKILL_VERSION, [version.id], organization_id=skill.organization_id)


def versions_activated(skill_ids: Iterable[UUID]) -> None:
    """Every live agent that follows one of these skills must be pushed again: one UPDATE for any number."""
    agents_changed(set(following(skill_ids).values_list("agent_id", flat=True)))


def credentials_created(credentials: Sequence[Credential]) -> None:
    """New credentials of one organization must be in their agents' vaults, and these must exist."""
    organization_id = credentials[0].organization_id
    vaults = list(dict.fromkeys(one.agent_id for one in credentials))
    intents.declare(SyncKind.VAULT, vaults, organization_id=organization_id)
    intents.declare(SyncKind.CREDENTIAL, [one.id for one in credentials], organization_id=organization_id)


def servers_changed(servers: Collection[MCPServer], *, urgent: bool = False) -> None:
    """Which tools of these servers are on has changed, so every live agent that has one must be pushed again."""
    if servers:
        agents_changed(users_of_servers(servers).values_list("pk", flat=True), urgent=urgent)


def servers_moved(servers: Collection[MCPServer]) -> None:
    """These servers have other addresses: what agents call, and what their vaults hold tokens for."""
    servers_changed(servers, urgent=True)
    held = Credential.objects.filter(server__in=servers, archived_at__isnull=True)
    intents.mark_stale(SyncKind.CREDENTIAL, held.values_list("pk", flat=True), urgent=True)


def fleet_moved() -> None:
    """Managed servers have another address: what agents call, and what their vaults hold a bearer for."""
    managed = MCPServer.objects.filter(deployment__isnull=False, archived_at__isnull=True)
    attached = AgentMCPServer.objects.filter(server__in=managed, agent__archived_at__isnull=True)
    agents_changed(set(attached.values_list("agent_id", flat=True)))
    held = Credential.objects.filter(server__in=managed, archived_at__isnull=True)
    intents.mark_stale(SyncKind.CREDENTIAL, held.values_list("pk", flat=True))


def attachments_changed(pairs: Collection[tuple[UUID, UUID]], *, urgent: bool = False) -> None:
    """These agents have these servers now, or have them no longer: what their vaults should hold has changed.

    Before the agents are marked, so that of what is taken away the credential goes first.
    """
    if not pairs:
        return
    rows = Credential.objects.filter(
        Q(agent_id__in={agent for agent, _ in pairs}) & Q(server_id__in={server for _, server in pairs}),
        archived_at__isnull=True,
    )
    ids = [pk for pk, *pair in rows.values_list("pk", "agent_id", "server_id") if tuple(pair) in pairs]
    intents.mark_stale(SyncKind.CREDENTIAL, ids, urgent=urgent)


def credentials_changed(ids: Iterable[UUID], *, urgent: bool = False) -> None:
    """These credentials have another value, or their servers moved, were attached, detached, withheld or given back.

    `urgent` when it takes something away.
    """
    intents.mark_stale(SyncKind.CREDENTIAL, ids, urgent=urgent)


def credentials_ended(credentials: Iterable[Credential]) -> None:
    """These credentials are destroyed: they leave their vaults before anything is added anywhere, and a vault that
    holds none any more goes too.
    """
    ended = list(credentials)
    intents.mark_stale(SyncKind.CREDENTIAL, [credential.pk for credential in ended], urgent=True)
    intents.mark_stale(SyncKind.VAULT, {credential.agent_id for credential in ended})


def vaults_made(agents: Iterable[UUID]) -> None:
    """These agents have another vault than before: what the reconciler had given up on is tried again in it."""
    held = Credential.objects.filter(agent__in=agents, archived_at__isnull=True)
    stopped = SyncState.objects.filter(
        kind=SyncKind.CREDENTIAL, object_id__in=held.values("pk"), parked_at__isnull=False, remote_id=""
    )
    intents.mark_stale(SyncKind.CREDENTIAL, stopped.values_list("object_id", flat=True))
