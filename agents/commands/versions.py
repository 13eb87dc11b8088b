"""Versions: every change of what an agent should be makes one, and any old one can be made the newest again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar  # Any: audit payloads are JSON
from uuid import UUID

from pydantic import Field, ValidationError

from agents import convergence, queries
from agents.actions import Action
from agents.models import Agent, AgentSkill, AgentVersion, Skill
from agents.queries.agents import version_of
from agents.queries.skills import skills_for_use
from agents.spec import AgentSpec, AttachedSkill, PrebuiltSkill
from powerloom.commands.registry import Change, Command, Need, Subject, handles
from powerloom.kernel.errors import Conflict, Invalid
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor

MAX_NUMBER = 2**31 - 1


class RestoreAgent(Command):
    """Make an old version's whole spec, attachments included, the newest version.

    Needs `skill:use` of the actor and of the agent's principal for every skill that comes with it.
    """

    action: ClassVar[str] = Action.AGENT_RESTORE
    agent_id: UUID
    number: Annotated[int, Field(ge=0, le=MAX_NUMBER)]


def load_restore(command: RestoreAgent, actor: Actor) -> Subject:
    agent = queries.agent_for_change(actor, command.agent_id)
    spec = AgentSpec.model_validate(version_of(agent, command.number).spec)
    skills = skills_for_use(actor, spec.skill_ids())
    needs = tuple(need for skill in skills.values() for need in use_needs(agent, skill))
    return Subject((agent, spec, skills), agent.target(), needs=needs)


@handles(RestoreAgent, load=load_restore)
def restore_agent(command: RestoreAgent, *, subject: Subject, actor: Actor) -> Change:
    agent, spec, skills = subject.row
    if set(spec.skill_ids()) - skills.keys():
        raise Conflict(f"Version {command.number} has a skill that is archived, or that you cannot see.")
    AgentSkill.objects.filter(agent=agent).delete()
    AgentSkill.objects.bulk_create(_attachments(agent, spec))
    return next_version(agent, spec, actor=actor, restored_from=command.number)


def use_needs(agent: Agent, skill: Skill) -> tuple[Need, Need]:
    """Return whose right it takes that this agent gets this skill: the actor's, and that of the agent's principal."""
    target = skill.target()
    return (
        Need(Action.SKILL_USE, target),
        Need(Action.SKILL_USE, target, principal_id=queries.acting_principal_id(agent)),
    )


def first_version(agent: Agent, spec: AgentSpec, *, actor: Actor) -> None:
    """Write version 1 of a new agent."""
    _write(agent, spec.as_json(), actor, restored_from=None)


def next_version(
    agent: Agent, spec: AgentSpec, *, actor: Actor, restored_from: int | None = None, urgent: bool = False
) -> Change:
    """Make the spec the agent's newest version, unless it is the newest already. Returns what differs, by field."""
    before, after = version_of(agent, agent.version).spec, spec.as_json()
    fields = [name for name in after if before.get(name) != after[name]]
    if fields:
        agent.version, agent.generation = agent.version + 1, agent.generation + 1
        agent.display_name = spec.display_name
        agent.save(update_fields=["version", "generation", "display_name", "updated_at"])
        _write(agent, after, actor, restored_from=restored_from)
        convergence.agents_changed([agent.id], urgent=urgent)
    return Change(agent, _sides(before, fields), _sides(after, fields) | {"version": agent.version})


def changed_spec(agent: Agent, change: Callable[[AgentSpec], AgentSpec]) -> AgentSpec:
    """Return the agent's spec after `change`. Raises `Invalid` naming the field when the whole is over a limit."""
    try:
        return change(queries.spec_of(agent))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Invalid(first["msg"].removeprefix("Value error, "), field=field or None) from error


def _write(agent: Agent, spec: dict[str, Any], actor: Actor, *, restored_from: int | None) -> None:
    AgentVersion.objects.create(
        id=new_id(),
        agent=agent,
        number=agent.version,
        spec=spec,
        author_ref=actor.ref,
        restored_from=restored_from,
    )


def _sides(spec: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    return {name: spec.get(name) for name in fields}


def _attachments(agent: Agent, spec: AgentSpec) -> list[AgentSkill]:
    rows = []
    for skill in spec.skills:
        match skill:
            case AttachedSkill(skill_id=skill_id, skill_version_id=version_id):
                rows.append(AgentSkill(id=new_id(), agent=agent, skill_id=skill_id, skill_version_id=version_id))
            case PrebuiltSkill(prebuilt=name):
                rows.append(AgentSkill(id=new_id(), agent=agent, prebuilt=name))
    return rows + [AgentSkill(id=new_id(), agent=agent, skill_id=tool.skill_id) for tool in spec.custom_tools]
