"""Attach skills to agents and detach them. Attaching again only moves the pin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from typing import ClassVar
from uuid import UUID

from agents import delegating, lending, queries
from agents.actions import Action
from agents.commands.attached import Attaching, Respecified, Respecifying, write
from agents.commands.versions import use_needs
from agents.models import Agent, AgentSkill, Skill, SkillType
from agents.queries.agents import attachments_of_many
from agents.queries.server_attachments import server_attachments_of_many
from agents.queries.skills import skills_for_use, skills_of_versions
from agents.spec import AttachedSkill, Prebuilt, PrebuiltSkill
from powerloom.commands.registry import Change, Command, Found, Need, Subject, each, handles_all
from powerloom.kernel.errors import Invalid, NotFound
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor


class AttachSkill(Command):
    """Give an agent a skill: one of ours, pinned or following its current version, or one of Anthropic's.

    Ours needs `skill:use` of the actor and of the agent's principal. Attaching again moves the pin.
    """

    action: ClassVar[str] = Action.AGENT_ATTACH_SKILL
    agent_id: UUID
    skill: AttachedSkill | PrebuiltSkill


class DetachSkill(Command):
    """Take a skill away from an agent; `skill` is its id, or Anthropic's short name."""

    action: ClassVar[str] = Action.AGENT_DETACH_SKILL
    agent_id: UUID
    skill: UUID | Prebuilt


def load_attaches(commands: Sequence[AttachSkill], actor: Actor) -> list[Found]:
    agents = queries.agents_for_change(actor, [command.agent_id for command in commands])
    further = delegating.needs_of_many(agents.values())
    ours = [command.skill.skill_id for command in commands if isinstance(command.skill, AttachedSkill)]
    skills = skills_for_use(actor, ours) if ours else {}
    return [_to_attach(command, agents.get(command.agent_id), skills, further) for command in commands]


def _to_attach(
    command: AttachSkill, agent: Agent | None, skills: Mapping[UUID, Skill], further: Mapping[UUID, tuple[Need, ...]]
) -> Found:
    if agent is None:
        return NotFound()
    if isinstance(command.skill, PrebuiltSkill):
        return Subject((agent, None), agent.target(), needs=further[agent.id])
    skill = skills.get(command.skill.skill_id)
    if skill is None:
        return NotFound()
    needs = (*use_needs(agent, Action.SKILL_USE, skill.target()), *further[agent.id])
    return Subject((agent, skill), agent.target(), needs=needs)


@handles_all(AttachSkill, load=load_attaches)
def attach_skills(commands: Sequence[AttachSkill], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    pinned_to = skills_of_versions(filter(None, map(_pin, commands)))
    each(len(commands), lambda place: _check_version(_pin(commands[place]), subjects[place].row[1], pinned_to))
    agents = {subject.row[0].id: subject.row[0] for subject in subjects}.values()
    having, servers = attachments_of_many(agents), server_attachments_of_many(agents)
    specs = Respecifying(agents)
    new: list[AgentSkill] = []
    moved: list[AgentSkill] = []

    def attach(place: int) -> Respecified:
        said, (agent, skill) = commands[place].skill, subjects[place].row
        row, is_new = _attached(having[agent.id], agent, skill, said)
        rows = [*having[agent.id], row] if is_new else having[agent.id]
        if not is_new and isinstance(said, AttachedSkill):
            pinned = copy(row)  # what was attached before it stays as the version before has it
            pinned.skill_version_id = said.skill_version_id
            rows = [pinned if one is row else one for one in rows]
            moved.append(pinned)
        lent = (lending.SKILLS, skill) if skill else None
        judged = specs.judged(Attaching(agent, rows, servers[agent.id], lent))
        new.extend([row] if is_new else [])
        having[agent.id] = rows
        return judged

    judged = each(len(commands), attach)
    last = {row.pk: row for row in moved}
    AgentSkill.objects.bulk_create([last.pop(row.pk, row) for row in new])
    AgentSkill.objects.bulk_update(last.values(), ["skill_version"])
    return write(judged, actor)


def _attached(
    having: Sequence[AgentSkill], agent: Agent, skill: Skill | None, said: AttachedSkill | PrebuiltSkill
) -> tuple[AgentSkill, bool]:
    """Return the row of what the agent has already, or a new one, and whether it is new."""
    if isinstance(said, PrebuiltSkill):
        there = next((row for row in having if row.skill_id is None and row.prebuilt == said.prebuilt), None)
        return (there, False) if there else (AgentSkill(id=new_id(), agent=agent, prebuilt=said.prebuilt), True)
    there = next((row for row in having if row.skill_id == said.skill_id), None)
    new = AgentSkill(id=new_id(), agent=agent, skill=skill, skill_version_id=said.skill_version_id)
    return (there, False) if there else (new, True)


def load_detaches(commands: Sequence[DetachSkill], actor: Actor) -> list[Found]:
    agents = queries.agents_for_change(actor, [command.agent_id for command in commands])
    further = delegating.needs_of_many(agents.values())
    having = attachments_of_many(agents.values())
    there = {(id_, row.skill_id or row.prebuilt): row for id_, rows in having.items() for row in rows}
    found: list[Found] = []
    for command in commands:
        row = there.get((command.agent_id, command.skill))
        agent = agents.get(command.agent_id)
        if agent is None or row is None:
            found.append(NotFound())
        else:
            found.append(Subject((agent, row), agent.target(), needs=further[agent.id]))
    return found


@handles_all(DetachSkill, load=load_detaches)
def detach_skills(commands: Sequence[DetachSkill], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    agents = {subject.row[0].id: subject.row[0] for subject in subjects}.values()
    having, servers = attachments_of_many(agents), server_attachments_of_many(agents)
    gone = [subject.row[1].pk for subject in subjects]
    specs = Respecifying(agents)

    def detach(place: int) -> Respecified:
        agent = subjects[place].row[0]
        rows = [row for row in having[agent.id] if row.pk != gone[place]]
        judged = specs.judged(Attaching(agent, rows, servers[agent.id]))
        having[agent.id] = rows
        return judged

    judged = each(len(commands), detach, once=lambda place: gone[place])
    AgentSkill.objects.filter(pk__in=gone).delete()
    return write(judged, actor, urgent=True)


def _pin(command: AttachSkill) -> UUID | None:
    return command.skill.skill_version_id if isinstance(command.skill, AttachedSkill) else None


def _check_version(version_id: UUID | None, skill: Skill, pinned_to: Mapping[UUID, UUID]) -> None:
    """Raise `Invalid` or `NotFound` for a pin to no version of the skill; `pinned_to` says of which one is."""
    if version_id is None:
        return
    if skill.skill_type == SkillType.TOOL_DEFINITION:
        raise Invalid("A tool definition has no versions to pin.", field="skill_version_id")
    if pinned_to.get(version_id) != skill.id:
        raise NotFound
