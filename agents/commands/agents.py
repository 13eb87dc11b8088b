"""Create, update and archive agents."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal  # Any: audit payloads are JSON
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone
from pydantic import Field

from accounts.models import Principal, PrincipalKind
from accounts.principals import enroll, home_path, retire
from accounts.queries import ou_for, principal_for
from agents import convergence, delegating, queries
from agents.actions import Action
from agents.commands.credentials import retire_credentials
from agents.commands.versions import changed_spec, first_version, next_version
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
from powerloom.commands.registry import Change, Command, Need, Subject, handles
from powerloom.kernel.errors import Invalid, NameTaken, Stale
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


def load_create(command: CreateAgent, actor: Actor) -> Subject:
    ou = ou_for(actor, command.ou_id)
    owner = _owner(command, actor)
    target = Target("agent", command.id, command.name, ou.organization_id, ou.path)
    return Subject((ou, owner), target, needs=_owner_needs(owner, actor))


@handles(CreateAgent, load=load_create)
def create_agent(command: CreateAgent, *, subject: Subject, actor: Actor) -> Change:
    ou, owner = subject.row
    agent = Agent(
        id=command.id,
        organization_id=ou.organization_id,
        ou=ou,
        name=command.name,
        display_name=command.display_name,
        agent_kind=command.agent_kind,
        runtime_type=command.runtime_type,
        owner_principal=owner,
    )
    _insert(agent)
    acts_as = owner.id if agent.agent_kind == AgentKind.USER else None
    enroll(agent.id, kind=PrincipalKind.AGENT, organization_id=ou.organization_id, ref=agent.ref, acts_as=acts_as)
    first_version(agent, command.spec(), actor=actor)
    convergence.agent_declared(agent)
    return Change(agent, None, _described(agent) | command.spec().as_json())


def load_update(command: UpdateAgent, actor: Actor) -> Subject:
    agent = queries.agent_for_change(actor, command.agent_id)
    return Subject(agent, agent.target(), needs=delegating.needs(agent))


@handles(UpdateAgent, load=load_update)
def update_agent(command: UpdateAgent, *, subject: Subject, actor: Actor) -> Change:
    agent: Agent = subject.row
    check_generation(agent, command.generation)
    return next_version(agent, changed_spec(agent, command.changes.applied_to), actor=actor)


def load_archive(command: ArchiveAgent, actor: Actor) -> Subject:
    agent = queries.agent_for_change(actor, command.agent_id)
    return Subject(agent, agent.target())


@handles(ArchiveAgent, load=load_archive, changes_access=True)
def archive_agent(command: ArchiveAgent, *, subject: Subject, actor: Actor) -> Change:
    agent: Agent = subject.row
    check_generation(agent, command.generation)
    agent.archived_at, agent.generation = timezone.now(), agent.generation + 1
    agent.save(update_fields=["archived_at", "generation", "updated_at"])
    retire(agent.id)
    retire_credentials(agent=agent)
    convergence.agents_changed([agent.id], urgent=True)
    return Change(agent, {"archived": False}, {"archived": True})


def check_generation(agent: Agent, seen: int | None) -> None:
    """Raise `Stale` when the caller saw another generation of the agent than the locked one."""
    if seen is not None and seen != agent.generation:
        raise Stale(
            f"{agent.name} was changed meanwhile. Read it again, then decide.",
            seen=seen,
            generation=agent.generation,
        )


def _insert(agent: Agent) -> None:
    live = Agent.objects.filter(ou_id=agent.ou_id, name=agent.name, archived_at__isnull=True)
    taken = NameTaken(f"There is an agent {agent.name} in this OU already.", field="name")
    if live.exists():
        raise taken
    try:
        agent.save(force_insert=True)
    except IntegrityError as error:  # another transaction took the name since we looked
        raise taken from error


def _owner(command: CreateAgent, actor: Actor) -> Principal:
    if command.owner_principal_id is None and actor.principal_id is None:
        raise Invalid("Name the owner: a user or a group.", field="owner_principal_id")
    owner = principal_for(actor, command.owner_principal_id or actor.principal_id)
    if owner.kind not in {PrincipalKind.USER, PrincipalKind.GROUP}:
        raise Invalid("An agent's owner is a user or a group.", field="owner_principal_id")
    return owner


def _owner_needs(owner: Principal, actor: Actor) -> tuple[Need, ...]:
    if owner.id == actor.principal_id:
        return ()
    place = Target(owner.kind, owner.id, owner.ref, owner.organization_id, home_path(owner))
    return (Need(Action.AGENT_ASSIGN_OWNER, place),)


def _described(agent: Agent) -> dict[str, Any]:
    return {
        "name": agent.name,
        "ou_path": agent.ou.path,
        "agent_kind": agent.agent_kind,
        "owner_principal_id": str(agent.owner_principal_id),
        "version": agent.version,
    }
