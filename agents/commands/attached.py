"""What is attached to an agent, skills and MCP servers, and the part of its spec that says so.

The rows are what is attached now, the spec is what each version had; both are written here, in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any  # a tool schema is other people's JSON

from pydantic import ValidationError

from agents import delegating, lending, queries
from agents.commands.versions import next_versions, within_limits
from agents.lending import Loan
from agents.models import Agent, AgentMCPServer, AgentSkill, MCPServer, Skill, SkillType
from agents.queries.server_attachments import setting_of
from agents.spec import AgentSpec, AttachedServer, AttachedSkill, CustomTool, PrebuiltSkill
from powerloom.commands.registry import Change
from powerloom.kernel.errors import Invalid
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor


@dataclass(frozen=True)
class Attaching:
    """One change of what an agent has, when the rows say it already.

    `skills` and `servers` are what is attached after it. `lent` is what was attached: the change then says what
    invoking the agent lends from now on. `confine` switches off the tools that reach out.
    """

    agent: Agent
    skills: Sequence[AgentSkill]
    servers: Sequence[AgentMCPServer]
    lent: tuple[Loan, Skill | MCPServer] | None = None
    confine: bool = False


@dataclass(frozen=True)
class Respecified:
    """The spec of an agent before and after a change that passed."""

    wanted: Attaching
    before: dict[str, Any]
    after: AgentSpec


class Respecifying:
    """Changes of what some agents have, one after the other: each is judged with those before it that passed, so what
    is refused of one agent spoils nothing that comes after it.
    """

    def __init__(self, agents: Iterable[Agent]) -> None:
        self._specs = {id_: version.spec for id_, version in queries.latest_versions(agents).items()}

    def judged(self, wanted: Attaching) -> Respecified:
        """Return what the change makes of the agent's spec. Raises `Invalid`; then it counts for none after it."""
        before = self._specs[wanted.agent.id]
        after = within_limits(partial(_with_attachments, wanted=wanted), AgentSpec.model_validate(before))
        self._specs[wanted.agent.id] = after.as_json()
        return Respecified(wanted, before, after)


def write(judged: Sequence[Respecified], actor: Actor, *, urgent: bool = False) -> list[Change]:
    """Write what is attached after each of the changes into a new version of its agent, in their order; a constant
    number of queries.
    """
    versions = [(one.wanted.agent, one.before, one.after) for one in judged]
    changes = next_versions(versions, actor=actor, urgent=urgent)
    return [_lending(change, one.wanted) for change, one in zip(changes, judged, strict=True)]


def put_back(agent: Agent, spec: AgentSpec) -> None:
    """Make what is attached to the agent exactly what the spec says."""
    AgentSkill.objects.filter(agent=agent).delete()
    AgentSkill.objects.bulk_create(_skills(agent, spec))
    AgentMCPServer.objects.filter(agent=agent).delete()
    AgentMCPServer.objects.bulk_create(_servers(agent, spec.mcp_servers))


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


def is_tool(skill: Skill) -> bool:
    """Tell whether an attached skill is a tool of its own rather than a package."""
    return skill.skill_type == SkillType.TOOL_DEFINITION


def _with_attachments(spec: AgentSpec, wanted: Attaching) -> AgentSpec:
    parts = {
        "skills": [_reference(one) for one in wanted.skills if not (one.skill and is_tool(one.skill))],
        "custom_tools": [custom_tool(one.skill) for one in wanted.skills if one.skill and is_tool(one.skill)],
        "mcp_servers": [setting_of(one) for one in wanted.servers],
    }
    changed = AgentSpec.model_validate(spec.as_json() | parts)
    return delegating.confined(changed) if wanted.confine else changed


def _lending(change: Change, wanted: Attaching) -> Change:
    if wanted.lent is None:
        return change
    lends = {"lends": lending.said(wanted.agent, *wanted.lent)}
    return Change(change.row, change.before, (change.after or {}) | lends)


def _reference(attachment: AgentSkill) -> AttachedSkill | PrebuiltSkill:
    if attachment.skill_id is None:
        return PrebuiltSkill.model_validate({"prebuilt": attachment.prebuilt})
    return AttachedSkill(skill_id=attachment.skill_id, skill_version_id=attachment.skill_version_id)


def _skills(agent: Agent, spec: AgentSpec) -> list[AgentSkill]:
    rows = []
    for skill in spec.skills:
        match skill:
            case AttachedSkill(skill_id=skill_id, skill_version_id=version_id):
                rows.append(AgentSkill(id=new_id(), agent=agent, skill_id=skill_id, skill_version_id=version_id))
            case PrebuiltSkill(prebuilt=name):
                rows.append(AgentSkill(id=new_id(), agent=agent, prebuilt=name))
    return rows + [AgentSkill(id=new_id(), agent=agent, skill_id=tool.skill_id) for tool in spec.custom_tools]


def _servers(agent: Agent, settings: Iterable[AttachedServer]) -> list[AgentMCPServer]:
    return [
        AgentMCPServer(
            id=new_id(),
            agent=agent,
            server_id=one.mcp_server_registration_id,
            **one.model_dump(mode="json", exclude={"mcp_server_registration_id"}),
        )
        for one in settings
    ]
