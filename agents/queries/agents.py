"""Reads of agents. Whatever a function here returns, its actor may see; what he may not see is absent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import F, Q, QuerySet

from accounts import rbac
from agents.actions import Action
from agents.models import Agent, AgentKind, AgentSkill, AgentVersion
from agents.spec import AgentSpec
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor


def agents_visible_to(actor: Actor) -> QuerySet[Agent]:
    """Return the live agents that the actor may read, with their OU and owner."""
    return (
        Agent.objects.filter(Q(organization_id=actor.organization_id), archived_at__isnull=True)
        .filter(rbac.permitted(actor, Action.AGENT_READ))
        .select_related("ou", "owner_principal")
    )


def agent_for_read(actor: Actor, agent_id: UUID) -> Agent:
    """Return a live agent that the actor may read. Raises `NotFound`."""
    return _one(agents_visible_to(actor), agent_id)


def agent_for_change(actor: Actor, agent_id: UUID) -> Agent:
    """As `agent_for_read`, locked until the end of the transaction. The right to change it is the bus's question."""
    return _one(agents_visible_to(actor).select_for_update(of=("self",)), agent_id)


def agents_for_change(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, Agent]:
    """As `agent_for_change`, for many at once, by id, locked in the order of their ids; the unseen are absent."""
    rows = agents_visible_to(actor).filter(pk__in=set(ids)).order_by("pk").select_for_update(of=("self",))
    return {agent.id: agent for agent in rows}


def agent_for_invoke(actor: Actor, agent_id: UUID) -> Agent:
    """As `agent_for_read`; not locked, because starting one session must not wait for another."""
    return agent_for_read(actor, agent_id)


def agents_invocable_by(actor: Actor) -> QuerySet[Agent]:
    """Return those of the agents that the actor may read which it may also invoke."""
    return agents_visible_to(actor).filter(rbac.permitted(actor, Action.AGENT_INVOKE))


def agents_among(ids: Iterable[UUID]) -> QuerySet[Agent]:
    """Return the live agents among these, whoever may see them: to be counted, and narrowed before they are shown."""
    return Agent.objects.filter(pk__in=list(ids), archived_at__isnull=True)


def versions_of(agent: Agent) -> QuerySet[AgentVersion]:
    """Return every version of an agent that the caller already holds."""
    return AgentVersion.objects.filter(agent=agent)


def version_of(agent: Agent, number: int) -> AgentVersion:
    """Return one version by its number. Raises `NotFound`."""
    version = versions_of(agent).filter(number=number).first()
    if version is None:
        raise NotFound
    return version


def latest_versions(agents: Iterable[Agent]) -> dict[UUID, AgentVersion]:
    """Return the latest version of each agent, by agent id; one query for any number of them."""
    ids = [agent.id for agent in agents]
    found = AgentVersion.objects.filter(agent_id__in=ids, number=F("agent__version"))
    return {version.agent_id: version for version in found}


def spec_of(agent: Agent) -> AgentSpec:
    """Return what the agent should be now."""
    return AgentSpec.model_validate(version_of(agent, agent.version).spec)


def attachments_of(agent: Agent) -> Sequence[AgentSkill]:
    """Return the agent's attached skills in the order in which they were attached."""
    return attachments_of_many([agent])[agent.id]


def attachments_of_many(agents: Iterable[Agent]) -> dict[UUID, list[AgentSkill]]:
    """As `attachments_of`, for many agents at once, by id; one query."""
    found: dict[UUID, list[AgentSkill]] = {agent.id: [] for agent in agents}
    rows = AgentSkill.objects.filter(agent__in=list(found)).select_related("skill", "skill__ou")
    for row in rows.order_by("pk"):
        found[row.agent_id].append(row)
    return found


def attachment_of(agent: Agent, skill: UUID | str) -> AgentSkill:
    """Return the agent's attachment of one of our skills by id, or of Anthropic's by short name. Raises `NotFound`."""
    named = Q(skill_id=skill) if isinstance(skill, UUID) else Q(prebuilt=skill)
    found = AgentSkill.objects.filter(named, agent=agent).first()
    if found is None:
        raise NotFound
    return found


def acting_principal_id(agent: Agent) -> UUID:
    """Return whose bindings count when the agent acts: its owner's for kind `user`, its own for kind `service`."""
    return agent.owner_principal_id if agent.agent_kind == AgentKind.USER else agent.id


def _one(rows: QuerySet[Agent], agent_id: UUID) -> Agent:
    found = rows.filter(pk=agent_id).first()
    if found is None:
        raise NotFound
    return found
