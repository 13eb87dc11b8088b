"""Create, update and archive agents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal  # Any: audit payloads are JSON
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from pydantic import Field

from accounts.models import OU, Principal, PrincipalKind
from accounts.principals import enroll_all, home_paths, retire
from accounts.queries import ous_for, principals_for
from agents import convergence, delegating, queries
from agents.actions import Action
from agents.commands.credentials import retire_credentials
from agents.commands.versions import first_versions, next_versions, within_limits
from agents.models import Agent, AgentKind
from agents.spec import (
    AgentChanges,
    AgentSpec,
    Description,
    DisplayName,
    Metadata,
    ModelChoice,
    Name,
    Part,
    SystemPrompt,
    Tools,
    TurnSeconds,
)
from powerloom.commands.naming import insert_named
from powerloom.commands.registry import Change, Command, Found, Need, Subject, each, handles_all, subjects_in
from powerloom.kernel.errors import Invalid, NotFound, Stale
from powerloom.kernel.refs import Actor, Target

Generation = Annotated[int, Field(ge=0, le=2**53 - 1)]


class AgentFields(Part):
    """What one says of a new agent. Without an owner it belongs to whoever makes it."""

    name: Name
    display_name: DisplayName
    description: Description | None = None
    ou_id: UUID
    model: ModelChoice
    system_prompt: SystemPrompt
    tools: Tools = Tools()
    metadata: Metadata = {}
    max_duration: TurnSeconds | None = None
    runtime_type: Literal["cma"] = "cma"
    agent_kind: AgentKind = AgentKind.USER
    owner_principal_id: UUID | None = None

    def spec(self) -> AgentSpec:
        """Return what the agent should be: all that is not its identity."""
        return AgentSpec.model_validate(self.model_dump(include=set(AgentSpec.model_fields)))


class CreateAgent(AgentFields, Command):
    """Declare an agent in an OU. Naming another owner needs `agent:assign_owner` in that owner's home OU."""

    action: ClassVar[str] = Action.AGENT_CREATE
    id: UUID


class UpdateAgent(Command):
    """Change what is named. `generation`, when given, is the one that the caller saw: another makes it stale."""

    action: ClassVar[str] = Action.AGENT_UPDATE
    agent_id: UUID
    changes: AgentChanges
    generation: Generation | None = None


class ArchiveAgent(Command):
    """Take an agent out of service for good. Its name becomes free; its sessions, versions and audit stay."""

    action: ClassVar[str] = Action.AGENT_ARCHIVE
    agent_id: UUID
    generation: Generation | None = None


def load_creates(commands: Sequence[CreateAgent], actor: Actor) -> list[Found]:
    ous = ous_for(actor, [command.ou_id for command in commands])
    owners = principals_for(actor, [command.owner_principal_id or actor.principal_id for command in commands])
    homes = home_paths(owner for owner in owners.values() if owner.id != actor.principal_id)
    return [_to_make(command, ous.get(command.ou_id), owners, homes, actor) for command in commands]


@handles_all(CreateAgent, load=load_creates)
def create_agents(commands: Sequence[CreateAgent], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    agents = [_new(command, *subject.row) for command, subject in zip(commands, subjects, strict=True)]
    specs = [command.spec() for command in commands]
    insert_named(Agent, agents, what="an agent")
    enroll_all([_principal(agent) for agent in agents])
    first_versions(zip(agents, specs, strict=True), actor=actor)
    convergence.agents_declared([agent.id for agent in agents], organization_id=agents[0].organization_id)
    return [Change(agent, None, _described(agent) | spec.as_json()) for agent, spec in zip(agents, specs, strict=True)]


def load_updates(commands: Sequence[UpdateAgent], actor: Actor) -> list[Found]:
    agents = queries.agents_for_change(actor, [command.agent_id for command in commands])
    needs = delegating.needs_of_many(agents.values())
    rows = [agents.get(command.agent_id) for command in commands]
    return [Subject(row, row.target(), needs=needs[row.id]) if row else NotFound() for row in rows]


@handles_all(UpdateAgent, load=load_updates)
def update_agents(commands: Sequence[UpdateAgent], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    versions = queries.latest_versions({subject.row.id: subject.row for subject in subjects}.values())
    specs = {agent_id: version.spec for agent_id, version in versions.items()}

    def update(place: int) -> tuple[Agent, dict[str, Any], AgentSpec]:
        command, agent = commands[place], subjects[place].row
        before = specs[agent.id]
        check_generation(agent, command.generation)
        after = within_limits(command.changes.applied_to, AgentSpec.model_validate(before))
        specs[agent.id] = after.as_json()  # for another change of the same agent
        return agent, before, after

    return next_versions(each(len(commands), update), actor=actor)


def load_archives(commands: Sequence[ArchiveAgent], actor: Actor) -> list[Found]:
    ids = [command.agent_id for command in commands]
    return subjects_in(queries.agents_for_change(actor, ids), ids)


@handles_all(ArchiveAgent, load=load_archives, changes_access=True)
def archive_agents(commands: Sequence[ArchiveAgent], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    agents: list[Agent] = [subject.row for subject in subjects]
    each(
        len(agents),
        lambda place: check_generation(agents[place], commands[place].generation),
        once=lambda place: agents[place].id,
    )
    for agent in agents:
        agent.archived_at = agent.updated_at = timezone.now()
        agent.generation += 1
    Agent.objects.bulk_update(agents, ["archived_at", "generation", "updated_at"])
    ids = [agent.id for agent in agents]
    retire(ids)
    retire_credentials(Q(agent__in=ids))
    convergence.agents_changed(ids, urgent=True)
    return [Change(agent, {"archived": False}, {"archived": True}) for agent in agents]


def check_generation(agent: Agent, seen: int | None) -> None:
    """Raise `Stale` when the caller saw another generation of the agent than the locked one."""
    if seen is not None and seen != agent.generation:
        raise Stale(
            f"{agent.name} was changed meanwhile. Read it again, then decide.",
            seen=seen,
            generation=agent.generation,
        )


def _to_make(
    command: CreateAgent,
    ou: OU | None,
    owners: Mapping[UUID, Principal],
    homes: Mapping[UUID, str],
    actor: Actor,
) -> Found:
    if ou is None:
        return NotFound()
    owner_id = command.owner_principal_id or actor.principal_id
    if owner_id is None:
        return Invalid("Name the owner: a user or a group.", field="owner_principal_id")
    owner = owners.get(owner_id)
    if owner is None:
        return NotFound()
    if owner.kind not in {PrincipalKind.USER, PrincipalKind.GROUP}:
        return Invalid("An agent's owner is a user or a group.", field="owner_principal_id")
    needs: tuple[Need, ...] = ()
    if owner.id != actor.principal_id:
        place = Target(owner.kind, owner.id, owner.ref, owner.organization_id, homes[owner.id])
        needs = (Need(Action.AGENT_ASSIGN_OWNER, place),)
    return Subject((ou, owner), Target("agent", command.id, command.name, ou.organization_id, ou.path), needs=needs)


def _new(command: CreateAgent, ou: OU, owner: Principal) -> Agent:
    return Agent(
        id=command.id,
        organization_id=ou.organization_id,
        ou=ou,
        name=command.name,
        display_name=command.display_name,
        agent_kind=command.agent_kind,
        runtime_type=command.runtime_type,
        owner_principal=owner,
    )


def _principal(agent: Agent) -> Principal:
    acts_as = agent.owner_principal_id if agent.agent_kind == AgentKind.USER else None
    return Principal(
        id=agent.id,
        kind=PrincipalKind.AGENT,
        organization_id=agent.organization_id,
        ref=agent.ref,
        acts_as_id=acts_as,
    )


def _described(agent: Agent) -> dict[str, Any]:
    return {
        "name": agent.name,
        "ou_path": agent.ou.path,
        "agent_kind": agent.agent_kind,
        "owner_principal_id": str(agent.owner_principal_id),
        "version": agent.version,
    }
