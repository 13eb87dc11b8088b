"""What an agent should be: the one schema for API, commands, console forms, stored versions and the reconciler.

`AgentVersion.spec` holds `AgentSpec.as_json()`; `AgentSpec.model_validate(version.spec)` reads it back. Every limit
here is CMA's, so that what CMA would refuse is refused at the write and never at the push. Texts are kept exactly as
they were given, because clients compare them with what they sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self  # Any: JSON of other people's tool schemas
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

MAX_SKILLS = 20
MAX_CUSTOM_TOOLS = 100  # CMA takes 256 tools in all; the built-in ones and those of MCP servers need room too
MAX_MCP_SERVERS = 20
MAX_MCP_TOOLS = 128  # settings of single tools, of one server
MAX_METADATA = 15  # CMA takes 16 pairs, and one of them is our stamp
MAX_TURN_SECONDS = 600
RESERVED_METADATA = "powerloom"

Text = str  # free text, kept exactly as it was given; the edges refuse what no database keeps
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
DisplayName = Annotated[Text, Field(min_length=1, max_length=255)]
Description = Annotated[Text, Field(max_length=2048)]
SystemPrompt = Annotated[Text, Field(min_length=1, max_length=100_000)]
ModelId = Annotated[Text, Field(min_length=1, max_length=256)]
McpToolName = Annotated[str, Field(min_length=1, max_length=128)]
TurnSeconds = Annotated[int, Field(ge=1, le=MAX_TURN_SECONDS)]
Permission = Literal["always_allow", "always_ask"]
Prebuilt = Literal["pptx", "xlsx", "docx", "pdf"]


class Part(BaseModel):
    """Base of everything in a spec: frozen, and without fields that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelSettings(Part):
    """A model with settings. Kept as posted: what was left out stays left out."""

    id: ModelId
    speed: Literal["standard", "fast"] | None = None
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None

    @model_serializer
    def _as_posted(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """What it gives is described as what it takes: the same fields, less those that were left out."""
        return handler({name: part for name, part in schema.items() if name != "serialization"})


ModelChoice = ModelId | ModelSettings


class Tool(Part):
    """One built-in tool: on or off, and who says yes to a call."""

    enabled: bool = True
    permission: Permission = "always_allow"


class Tools(Part):
    """Every built-in tool of CMA, by its name there; on and allowed unless said otherwise."""

    bash: Tool = Tool()
    edit: Tool = Tool()
    read: Tool = Tool()
    write: Tool = Tool()
    glob: Tool = Tool()
    grep: Tool = Tool()
    web_fetch: Tool = Tool()
    web_search: Tool = Tool()


class CustomTool(Part):
    """A tool that the session's client answers; made from an attached skill of type `tool_definition`."""

    skill_id: UUID
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,128}$")]
    description: Annotated[str, Field(min_length=1)]
    input_schema: dict[str, Any]

    @model_validator(mode="after")
    def _describes_an_object(self) -> Self:
        if self.input_schema.get("type") != "object":
            raise ValueError('input_schema must have "type": "object"')
        if self.name in Tools.model_fields:
            raise ValueError(f"{self.name} is the name of a built-in tool")
        return self


class AttachedSkill(Part):
    """A skill of ours: pinned to a version, or null to use whatever version is current."""

    skill_id: UUID
    skill_version_id: UUID | None = None


class PrebuiltSkill(Part):
    """A skill of Anthropic's, by its short name there."""

    prebuilt: Prebuilt


class ServerTool(Part):
    """One tool of an attached server that differs from the rest; without a permission it has that of the attachment."""

    enabled: bool = True
    permission: Permission | None = None


ServerTools = Annotated[dict[McpToolName, ServerTool], Field(max_length=MAX_MCP_TOOLS)]


class AttachedServer(Part):
    """An MCP server that the agent may call. `tools` names those that differ from the rest.

    `four_eyes`: whoever invoked the agent may not confirm its calls. Unless the attachment says `always_ask`, calls are
    allowed: CMA's own default would stop every unattended agent at its first call.
    """

    mcp_server_registration_id: UUID
    permission: Permission = "always_allow"
    tools: ServerTools = {}
    four_eyes: bool = False

    def applied_to(self, names: Iterable[str]) -> dict[str, Tool]:
        """Return these tools of the server, as the attachment sets them."""
        named = {name: self.tools.get(name, ServerTool()) for name in names}
        return {
            name: Tool(enabled=own.enabled, permission=own.permission or self.permission) for name, own in named.items()
        }


def _not_ours(key: str) -> str:
    if key == RESERVED_METADATA or key.startswith(f"{RESERVED_METADATA}_"):
        raise ValueError(f"metadata keys that begin with {RESERVED_METADATA} are the reconciler's")
    return key


MetadataKey = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_not_ours)]
MetadataValue = Annotated[str, Field(max_length=512)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=MAX_METADATA)]


class AgentSpec(Part):
    """The whole desired state of an agent, attachments included. `max_duration` is in seconds and for each turn of its
    sessions; null leaves it at the most there is.
    """

    display_name: DisplayName
    description: Description | None = None
    model: ModelChoice
    system_prompt: SystemPrompt
    tools: Tools = Tools()
    metadata: Metadata = {}
    max_duration: TurnSeconds | None = None
    skills: Annotated[list[AttachedSkill | PrebuiltSkill], Field(max_length=MAX_SKILLS)] = []
    custom_tools: Annotated[list[CustomTool], Field(max_length=MAX_CUSTOM_TOOLS)] = []
    mcp_servers: Annotated[list[AttachedServer], Field(max_length=MAX_MCP_SERVERS)] = []

    @model_validator(mode="after")
    def _names_tools_once(self) -> Self:
        names = [tool.name for tool in self.custom_tools]
        if len(set(names)) != len(names):
            raise ValueError("two attached tools have the same name")
        return self

    @model_validator(mode="after")
    def _attaches_servers_once(self) -> Self:
        if len(set(self.server_ids())) != len(self.mcp_servers):
            raise ValueError("an MCP server is attached twice")
        return self

    def as_json(self) -> dict[str, Any]:
        """Return the spec as it is stored, hashed and compared."""
        return self.model_dump(mode="json")

    def skill_ids(self) -> list[UUID]:
        """Return the ids of our own skills that this spec lends to the agent, tools included."""
        ours = [skill.skill_id for skill in self.skills if isinstance(skill, AttachedSkill)]
        return ours + [tool.skill_id for tool in self.custom_tools]

    def server_ids(self) -> list[UUID]:
        """Return the ids of the MCP servers that this spec lends to the agent."""
        return [server.mcp_server_registration_id for server in self.mcp_servers]


class AgentChanges(Part):
    """What is to change about an agent. Only what is named changes, also inside `tools` and `metadata`.

    So nothing is widened by omission: `{"tools": {"bash": {"enabled": false}}}` leaves web_search as it was. In
    `metadata` null takes a key away, as on CMA. The defaults stand for "not named" and are never used as values.
    """

    display_name: DisplayName = ""
    description: Description | None = None
    model: ModelChoice = ""
    system_prompt: SystemPrompt = ""
    tools: Tools = Tools()
    metadata: dict[MetadataKey, MetadataValue | None] = {}
    max_duration: TurnSeconds | None = None

    @model_serializer
    def _only_named(self) -> dict[str, Any]:
        """So that a stored command still knows what was named and what was not."""
        return {name: _named(getattr(self, name)) for name in type(self).model_fields if name in self.model_fields_set}

    def applied_to(self, spec: AgentSpec) -> AgentSpec:
        """Return the spec with these changes. Raises `pydantic.ValidationError` when the whole is over a limit."""
        before, named = spec.as_json(), self.model_dump(mode="json")
        tools, metadata = named.pop("tools", {}), before["metadata"] | named.pop("metadata", {})
        changed = {
            "tools": {name: setting | tools.get(name, {}) for name, setting in before["tools"].items()},
            "metadata": {key: value for key, value in metadata.items() if value is not None},
        }
        return AgentSpec.model_validate(before | named | changed)


def _named(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_unset=True) if isinstance(value, BaseModel) else value
