"""Attach skills to agents and detach them. Attaching again only moves the pin."""

from __future__ import annotations

from typing import Any, ClassVar  # Any: a tool schema is other people's JSON
from uuid import UUID

from pydantic import ValidationError

from agents import queries
from agents.actions import Action
from agents.commands.versions import changed_spec, next_version, use_needs
from agents.models import Agent, AgentSkill, Skill, SkillType
from agents.queries.agents import attachment_of, attachments_of
from agents.queries.skills import skill_for_change, version_of
from agents.spec import AgentSpec, AttachedSkill, CustomTool, Prebuilt, PrebuiltSkill
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
    if isinstance(command.skill, PrebuiltSkill):
        return Subject((agent, None), agent.target())
    skill = skill_for_change(actor, command.skill.skill_id)
    return Subject((agent, skill), agent.target(), needs=use_needs(agent, skill))


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
    return _respecified(agent, actor)


def load_detach(command: DetachSkill, actor: Actor) -> Subject:
    agent = queries.agent_for_change(actor, command.agent_id)
    return Subject((agent, attachment_of(agent, command.skill)), agent.target())


@handles(DetachSkill, load=load_detach)
def detach_skill(command: DetachSkill, *, subject: Subject, actor: Actor) -> Change:
    agent, attachment = subject.row
    attachment.delete()
    return _respecified(agent, actor, urgent=True)


def custom_tool(skill: Skill) -> CustomTool:
    """Return the tool that a skill of type `tool_definition` describes. Raises `Invalid` when it cannot be one."""
    schema: dict[str, Any] = skill.tool_schema or {}
    try:
        return CustomTool(
            skill_id=skill.id,
            name=schema.get("name", skill.name),
            description=schema.get("description") or skill.description or skill.display_name,
            input_schema=schema.get("input_schema", {}),
        )
    except ValidationError as error:
        why = error.errors(include_url=False, include_context=False)[0]["msg"].removeprefix("Value error, ")
        raise Invalid(f"The tool schema of {skill.name} cannot be a tool: {why}", field="tool_schema") from error


def _check_version(skill: Skill, version_id: UUID | None) -> None:
    if version_id is None:
        return
    if skill.skill_type == SkillType.TOOL_DEFINITION:
        raise Invalid("A tool definition has no versions to pin.", field="skill_version_id")
    version_of(skill, version_id)


def _respecified(agent: Agent, actor: Actor, *, urgent: bool = False) -> Change:
    """Write the attachments of now into a new version of the agent."""
    attached = attachments_of(agent)
    tools = [custom_tool(one.skill) for one in attached if one.skill and is_tool(one.skill)]
    skills = [_reference(one) for one in attached if not (one.skill and is_tool(one.skill))]

    def with_attachments(spec: AgentSpec) -> AgentSpec:
        return AgentSpec.model_validate(spec.as_json() | {"skills": skills, "custom_tools": tools})

    return next_version(agent, changed_spec(agent, with_attachments), actor=actor, urgent=urgent)


def is_tool(skill: Skill) -> bool:
    """Tell whether an attached skill is a tool of its own rather than a package."""
    return skill.skill_type == SkillType.TOOL_DEFINITION


def _reference(attachment: AgentSkill) -> AttachedSkill | PrebuiltSkill:
    if attachment.skill_id is None:
        return PrebuiltSkill.model_validate({"prebuilt": attachment.prebuilt})
    return AttachedSkill(skill_id=attachment.skill_id, skill_version_id=attachment.skill_version_id)
