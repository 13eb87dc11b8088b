"""Agents: the spec of the latest version, with the skills and MCP servers it names and may use, as CMA's agent.

Explicit throughout: every built-in tool is named, and what is not named is off, so a tool that CMA adds one day is not
on before somebody here said so. Two things are left to CMA when the spec does not say them, because it has no word for
"the default": the model's effort, and the version of a prebuilt skill. MCP servers have a file of their own:
`agents.drivers.servers`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar  # Any: tool schemas are other people's JSON
from uuid import UUID

from django.db.models import F
from django.utils import timezone
from pydantic import ValidationError

from agents import withholding
from agents.drivers import servers
from agents.drivers.servers import Reach
from agents.kinds import SyncKind
from agents.models import AgentVersion, Skill, SkillVersion
from agents.spec import AgentSpec, AttachedSkill, CustomTool, ModelChoice, PrebuiltSkill, Tools
from powerloom.cma.types import JSON, Page
from powerloom.reconcile.driver import Calls, DocumentDriver, Job, Need, Wanted, own_metadata
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.result import Done, Odd

TOOLSET = "agent_toolset_20260401"
UNNAMED = {"enabled": False, "permission": "always_ask"}


@dataclass(frozen=True)
class Content:
    """The version of a skill that an agent gets: its id and what is in it."""

    version_id: UUID
    sha256: str


@dataclass(frozen=True)
class Shelf:
    """What a batch of agents names: of skills their names, their current versions, and every version named; and the
    MCP servers.
    """

    names: Mapping[UUID, str]
    current: Mapping[UUID, UUID | None]
    contents: Mapping[UUID, str]
    servers: Mapping[UUID, Reach]

    def content(self, skill: AttachedSkill) -> Content | None:
        """Return the version meant by an attachment, or None while the skill has none that is current."""
        version_id = skill.skill_version_id or self.current.get(skill.skill_id)
        sha256 = self.contents.get(version_id) if version_id else None
        return Content(version_id, sha256) if version_id and sha256 else None


@dataclass(frozen=True)
class Latest:
    """What an agent's calls need beside the document: its latest version, and which version of each skill it gets."""

    version: AgentVersion
    contents: Mapping[UUID, Content]


class AgentDriver(DocumentDriver):
    """An agent at its latest version."""

    kind: ClassVar[str] = SyncKind.AGENT
    resource: ClassVar[str] = "agents"
    has_versions: ClassVar[bool] = True

    def load(self, states: Sequence[SyncState]) -> dict[UUID, Wanted]:
        latest = (
            AgentVersion.objects.filter(agent__in=[state.object_id for state in states], number=F("agent__version"))
            .select_related("agent")
            .only(
                "id",
                "agent_id",
                "number",
                "spec",
                "cma_version",
                "live_at",
                "agent__archived_at",
                "agent__organization_id",
            )
        )
        withheld = withholding.of([state.object_id for state in states])
        specs = {version: _spec(version, withheld.get(version.agent_id, set())) for version in latest}
        shelf = shelf_of(spec for spec in specs.values() if isinstance(spec, AgentSpec))
        return {version.agent_id: wanted(version, spec, shelf) for version, spec in specs.items()}

    def recorded(self, records: Sequence[tuple[Job, Done | Odd]]) -> None:
        """Note which version of CMA's each of ours became; a new agent on CMA makes those of the old one worthless."""
        anew = [job.wanted.id for job, result in records if result.remote and not job.state.remote_id]
        AgentVersion.objects.filter(agent__in=anew).exclude(cma_version="").update(cma_version="")
        changed = [version for job, result in records for version in _mapped(job, result)]
        if changed:
            AgentVersion.objects.bulk_update(changed, ["cma_version", "live_at"])

    async def recent(self, calls: Calls, cursor: str | None, since: datetime | None) -> Page:
        created_since = since.isoformat() if since else None
        return await calls(self.others, calls.cma.agents.list(page=cursor, created_since=created_since))

    def body(self, job: Job) -> JSON:
        document = job.wanted.document or {}
        return {
            **{name: document[name] for name in ("name", "description", "model", "system", "multiagent")},
            "tools": [
                _toolset(document["tools"]),
                *servers.toolsets(document["mcp_servers"]),
                *({"type": "custom", **tool} for tool in document["custom_tools"]),
            ],
            "mcp_servers": servers.bodies(document["mcp_servers"]),
            "skills": [_skill_ref(skill, job) for skill in document["skills"]],
        }

    def project(self, answer: JSON, job: Job) -> JSON:
        says_effort = "effort" in (job.wanted.document or {}).get("model", {})
        return {
            "name": answer["name"],
            "description": answer["description"],
            "model": _seen_model(answer["model"], says_effort=says_effort),
            "system": answer["system"],
            **_seen_tools(answer),
            "skills": _ordered(_seen_skill(skill, job) for skill in answer["skills"]),
            "multiagent": answer.get("multiagent"),
            "metadata": own_metadata(answer, job),
        }


def desired_document(state: SyncState) -> JSON | None:
    """Return what the runtime should have of this agent, as it is hashed; None while it cannot be said. A few
    queries.
    """
    found = AgentDriver().load([state]).get(state.object_id)
    return found.document if found and not found.fault else None


def wanted(version: AgentVersion, spec: AgentSpec | str, shelf: Shelf) -> Wanted:
    """Return what an agent should be; a spec that is a text says why it could not be read. Pure."""
    agent = version.agent
    if agent.archived_at is not None:
        return Wanted(agent.pk, "", None)
    if isinstance(spec, str):
        return Wanted(agent.pk, "", {}, fault=spec)
    environment = Need(SyncKind.ENVIRONMENT, agent.organization_id, "the environment")
    needs = (environment, *_needs(spec, shelf), *servers.needs(spec, shelf.servers))
    attached = [skill for skill in spec.skills if isinstance(skill, AttachedSkill)]
    contents = {skill.skill_id: content for skill in attached if (content := shelf.content(skill))}
    return Wanted(agent.pk, spec.display_name, document(spec, shelf), needs, extra=Latest(version, contents))


def document(spec: AgentSpec, shelf: Shelf) -> JSON:
    """Return the spec as the document that is hashed: explicit, and in our names. Pure."""
    return {
        "name": spec.display_name,
        "description": spec.description or None,
        "model": _model(spec.model),
        "system": spec.system_prompt,
        "tools": _tools(spec.tools),
        "custom_tools": _custom(spec.custom_tools),
        "mcp_servers": servers.document(spec, shelf.servers),
        "skills": _ordered(_skill(skill, shelf) for skill in spec.skills),
        "multiagent": None,
        "metadata": dict(spec.metadata),
    }


def shelf_of(specs: Iterable[AgentSpec]) -> Shelf:
    """Load the skills and servers that these specs name; four queries."""
    specs = list(specs)
    attached = [skill for spec in specs for skill in spec.skills if isinstance(skill, AttachedSkill)]
    skills = list(Skill.objects.filter(pk__in={skill.skill_id for skill in attached}))
    current = {skill.pk: skill.current_version_id for skill in skills}
    named = [skill.skill_version_id for skill in attached] + list(current.values())
    contents = dict(SkillVersion.objects.filter(pk__in={id_ for id_ in named if id_}).values_list("pk", "sha256"))
    return Shelf({skill.pk: skill.name for skill in skills}, current, contents, servers.reaches(specs))


def _spec(version: AgentVersion, withheld: Collection[UUID]) -> AgentSpec | str:
    try:
        return withholding.without(AgentSpec.model_validate(version.spec), withheld)
    except ValidationError as error:
        first = error.errors()[0]
        return f"Version {version.number} cannot be read: {'.'.join(map(str, first['loc']))}: {first['msg']}"


def _mapped(job: Job, result: Done | Odd) -> list[AgentVersion]:
    """Return the version with its new name on CMA, if that changed."""
    latest = job.wanted.extra
    if not isinstance(latest, Latest) or isinstance(result, Odd):
        return []
    cma_version = result.remote.version if result.remote else job.state.remote_version
    if latest.version.cma_version == cma_version and job.state.remote_id:
        return []
    latest.version.cma_version = cma_version
    latest.version.live_at = latest.version.live_at or timezone.now()
    return [latest.version]


# Skills


def _needs(spec: AgentSpec, shelf: Shelf) -> list[Need]:
    needs = []
    for skill in spec.skills:
        if isinstance(skill, PrebuiltSkill):
            continue
        what = f"skill {shelf.names.get(skill.skill_id, skill.skill_id)}"
        content = shelf.content(skill)
        needs.append(Need(SyncKind.SKILL, skill.skill_id, what))
        needs.append(
            Need(SyncKind.SKILL_VERSION, content.version_id, what)
            if content
            else Need(SyncKind.SKILL_VERSION, None, f"a current version of {what}")
        )
    return needs


def _skill(skill: AttachedSkill | PrebuiltSkill, shelf: Shelf) -> JSON:
    if isinstance(skill, PrebuiltSkill):
        return {"prebuilt": skill.prebuilt}
    content = shelf.content(skill)
    return {"skill": str(skill.skill_id), "content": content.sha256 if content else ""}


def _skill_ref(skill: JSON, job: Job) -> JSON:
    if "prebuilt" in skill:
        return {"type": "anthropic", "skill_id": skill["prebuilt"]}
    skill_id = UUID(skill["skill"])
    return {
        "type": "custom",
        "skill_id": job.remote_id(SyncKind.SKILL, skill_id),
        "version": job.remote_id(SyncKind.SKILL_VERSION, job.wanted.extra.contents[skill_id].version_id),
    }


def _seen_skill(ref: JSON, job: Job) -> JSON:
    """Return a skill in our names; CMA's ids that are not those we sent stay, so that they show."""
    if ref["type"] == "anthropic":
        return {"prebuilt": ref["skill_id"]}
    ours = job.ours()
    _, skill_id = ours.get(ref["skill_id"], ("", ref["skill_id"]))
    _, version_id = ours.get(ref["version"], ("", None))
    contents = {content.version_id: content.sha256 for content in job.wanted.extra.contents.values()}
    return {"skill": str(skill_id), "content": contents.get(version_id, ref["version"])}


def _ordered(skills: Iterable[JSON]) -> list[JSON]:
    """Skills are a set; their order on CMA says nothing."""
    return sorted(skills, key=lambda skill: (skill.get("prebuilt", ""), skill.get("skill", "")))


# Model and tools


def _model(choice: ModelChoice) -> JSON:
    if isinstance(choice, str):
        return {"id": choice, "speed": "standard"}
    effort = {"effort": choice.effort} if choice.effort else {}
    return {"id": choice.id, "speed": choice.speed or "standard", **effort}


def _seen_model(model: JSON, *, says_effort: bool) -> JSON:
    effort = model.get("effort") or {}
    seen = {"id": model["id"], "speed": model.get("speed") or "standard"}
    return {**seen, "effort": effort.get("type")} if says_effort else seen


def _tools(tools: Tools) -> JSON:
    named = {name: getattr(tools, name) for name in Tools.model_fields}
    return {
        "unnamed": UNNAMED,
        "named": {name: {"enabled": tool.enabled, "permission": tool.permission} for name, tool in named.items()},
    }


def _custom(tools: Iterable[CustomTool]) -> list[JSON]:
    plain = [tool.model_dump(mode="json", include={"name", "description", "input_schema"}) for tool in tools]
    return sorted(plain, key=lambda tool: str(tool["name"]))


def _toolset(tools: JSON) -> JSON:
    configs = [{"name": name, **_switch(tool)} for name, tool in sorted(tools["named"].items())]
    return {"type": TOOLSET, "default_config": _switch(tools["unnamed"]), "configs": configs}


def _switch(tool: JSON) -> JSON:
    return {"enabled": tool["enabled"], "permission_policy": {"type": tool["permission"]}}


def _seen_tools(answer: JSON) -> dict[str, Any]:
    """Return servers and tools of an answer; a kind of tool that we never send is kept as it is, so that it shows."""
    toolsets = [tool for tool in answer["tools"] if tool["type"] == servers.TOOLSET]
    mcp_servers, others = servers.seen(answer["mcp_servers"], toolsets)
    seen: dict[str, Any] = {"tools": None, "custom_tools": [], "mcp_servers": mcp_servers}
    for tool in [tool for tool in answer["tools"] if tool["type"] != servers.TOOLSET] + others:
        match tool["type"]:
            case "agent_toolset_20260401":
                named = {config["name"]: _seen_switch(config) for config in tool["configs"]}
                seen["tools"] = {"unnamed": _seen_switch(tool["default_config"]), "named": named}
            case "custom":
                seen["custom_tools"].append({name: tool[name] for name in ("name", "description", "input_schema")})
            case _:
                seen.setdefault("other_tools", []).append(tool)
    seen["custom_tools"].sort(key=lambda tool: tool["name"])
    return seen


def _seen_switch(config: JSON) -> JSON:
    return {"enabled": config["enabled"], "permission": config["permission_policy"]["type"]}
