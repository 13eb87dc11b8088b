"""Attach skills to agents and detach them. Attaching again only moves the pin."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from agents import delegating, lending, queries
from agents.actions import Action
from agents.commands.attached import respecified
from agents.commands.versions import use_needs
from agents.models import AgentSkill, Skill, SkillType
from agents.queries.agents import attachment_of
from agents.queries.skills import skill_for_change, version_of
from agents.spec import AttachedSkill, Prebuilt, PrebuiltSkill
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import Invalid
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


def load_attach(command: AttachSkill, actor: Actor) -> Subject:
    agent = queries.agent_for_change(actor, command.agent_id)
    further = delegating.needs(agent)
    if isinstance(command.skill, PrebuiltSkill):
        return Subject((agent, None), agent.target(), needs=further)
    skill = skill_for_change(actor, command.skill.skill_id)
    needs = (*use_needs(agent, Action.SKILL_USE, skill.target()), *further)
    return Subject((agent, skill), agent.target(), needs=needs)


@handles(AttachSkill, load=load_attach)
def attach_skill(command: AttachSkill, *, subject: Subject, actor: Actor) -> Change:
    agent, skill = subject.row
    if isinstance(command.skill, PrebuiltSkill):
        AgentSkill.objects.get_or_create(agent=agent, prebuilt=command.skill.prebuilt, defaults={"id": new_id()})
    else:
        _check_version(skill, command.skill.skill_version_id)
        pin = {"skill_version_id": command.skill.skill_version_id}
        AgentSkill.objects.update_or_create(
            agent=agent, skill=skill, defaults=pin, create_defaults={"id": new_id(), **pin}
        )
    return respecified(agent, actor, lent=(lending.SKILLS, skill) if skill else None)


def load_detach(command: DetachSkill, actor: Actor) -> Subject:
    agent = queries.agent_for_change(actor, command.agent_id)
    return Subject((agent, attachment_of(agent, command.skill)), agent.target(), needs=delegating.needs(agent))


@handles(DetachSkill, load=load_detach)
def detach_skill(command: DetachSkill, *, subject: Subject, actor: Actor) -> Change:
    agent, attachment = subject.row
    attachment.delete()
    return respecified(agent, actor, urgent=True)


def _check_version(skill: Skill, version_id: UUID | None) -> None:
    if version_id is None:
        return
    if skill.skill_type == SkillType.TOOL_DEFINITION:
        raise Invalid("A tool definition has no versions to pin.", field="skill_version_id")
    version_of(skill, version_id)
