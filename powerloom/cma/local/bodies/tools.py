"""The tools of an agent: the built-in toolset, the toolsets of MCP servers, and custom tools."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from powerloom.cma.local.bodies.base import Body
from powerloom.cma.types import JSON

BuiltIn = Literal["bash", "edit", "read", "write", "glob", "grep", "web_fetch", "web_search"]
Domains = Annotated[list[Annotated[str, Field(min_length=1, max_length=253)]], Field(min_length=1, max_length=64)]

ONLY_WEB_FETCH = {"max_content_tokens", "url_sources"}
ONLY_WEB_SEARCH = {"user_location"}
WEB = {"allowed_domains", "blocked_domains"}


class Policy(Body):
    """Who says yes to a call."""

    type: Literal["always_allow", "always_ask", "auto"]


class Switch(Body):
    """A toolset's default: on or off, and its policy."""

    enabled: bool | None = None
    permission_policy: Policy | None = None

    def resolved(self, *, enabled: bool, policy: str) -> JSON:
        """The same with both filled in."""
        return {
            "enabled": enabled if self.enabled is None else self.enabled,
            "permission_policy": {"type": self.permission_policy.type if self.permission_policy else policy},
        }


class UserLocation(Body):
    """Where searches are made from."""

    type: Literal["approximate"]
    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class BuiltInConfig(Switch):
    """One built-in tool, where it differs from the toolset's default."""

    name: BuiltIn
    type: BuiltIn | None = None
    allowed_domains: Domains | None = None
    blocked_domains: Domains | None = None
    max_content_tokens: Annotated[int, Field(ge=1)] | None = None
    url_sources: dict[str, Any] | None = None  # kept as given: the scripted model fetches nothing
    user_location: UserLocation | None = None

    @model_validator(mode="after")
    def _fits_the_tool(self) -> "BuiltInConfig":
        if self.type is not None and self.type != self.name:
            raise ValueError("type must equal name")
        own = {"web_fetch": WEB | ONLY_WEB_FETCH, "web_search": WEB | ONLY_WEB_SEARCH}.get(self.name, set())
        foreign = (self.model_fields_set & (WEB | ONLY_WEB_FETCH | ONLY_WEB_SEARCH)) - own
        if foreign:
            raise ValueError(f"{min(foreign)} does not apply to {self.name}")
        if self.allowed_domains and self.blocked_domains:
            raise ValueError("allowed_domains and blocked_domains cannot be combined")
        return self

    def wire_under(self, default: JSON) -> JSON:
        """The full configuration of this tool."""
        own = self.resolved(enabled=default["enabled"], policy=default["permission_policy"]["type"])
        extra = self.model_dump(
            mode="json", exclude_none=True, exclude={"name", "type", "enabled", "permission_policy"}
        )
        if self.name == "web_fetch":
            extra.setdefault("url_sources", None)
        return {"type": self.name, "name": self.name, **own, **extra}


class AgentToolset(Body):
    """The built-in tools; on and allowed unless said otherwise."""

    type: Literal["agent_toolset_20260401"]
    default_config: Switch | None = None
    configs: list[BuiltInConfig] = []

    @model_validator(mode="after")
    def _each_once(self) -> "AgentToolset":
        _unique("configs", [config.name for config in self.configs])
        return self

    def wire(self) -> JSON:
        """With `default_config` and every configuration resolved."""
        default = (self.default_config or Switch()).resolved(enabled=True, policy="always_allow")
        return {
            "type": self.type,
            "default_config": default,
            "configs": [config.wire_under(default) for config in self.configs],
        }


class McpToolConfig(Switch):
    """One tool of an MCP server, where it differs."""

    name: Annotated[str, Field(min_length=1, max_length=255)]


class McpToolset(Body):
    """The tools of one MCP server; on, and asked about, unless said otherwise."""

    type: Literal["mcp_toolset"]
    mcp_server_name: Annotated[str, Field(min_length=1, max_length=255)]
    default_config: Switch | None = None
    configs: list[McpToolConfig] = []

    @model_validator(mode="after")
    def _each_once(self) -> "McpToolset":
        _unique("configs", [config.name for config in self.configs])
        return self

    def wire(self) -> JSON:
        """With `default_config` and every configuration resolved."""
        default = (self.default_config or Switch()).resolved(enabled=True, policy="always_ask")
        policy = default["permission_policy"]["type"]
        return {
            "type": self.type,
            "mcp_server_name": self.mcp_server_name,
            "default_config": default,
            "configs": [
                {"name": config.name, **config.resolved(enabled=default["enabled"], policy=policy)}
                for config in self.configs
            ],
        }


class InputSchema(Body):
    """JSON Schema of a custom tool's input; further keywords are kept."""

    model_config = {"extra": "allow", "strict": True}

    type: Literal["object"]
    properties: dict[str, Any] | None = None
    required: list[str] | None = None

    def wire(self) -> JSON:
        """As it was given."""
        return self.model_dump(mode="json", exclude_unset=True)


class CustomTool(Body):
    """A tool that the client runs."""

    type: Literal["custom"]
    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_-]+$")]
    description: Annotated[str, Field(min_length=1)]
    input_schema: InputSchema

    def wire(self) -> JSON:
        """As it was given."""
        return {**self.model_dump(mode="json", exclude={"input_schema"}), "input_schema": self.input_schema.wire()}


Tool = Annotated[AgentToolset | McpToolset | CustomTool, Field(discriminator="type")]
Tools = Annotated[list[Tool], Field(max_length=256)]


class McpServer(Body):
    """An MCP server by address."""

    type: Literal["url"]
    name: Annotated[str, Field(min_length=1, max_length=255)]
    url: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^https?://[^\s/]+")]


McpServers = Annotated[list[McpServer], Field(max_length=20)]


def _unique(where: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise ValueError(f"{where}: names must be unique")


def check_servers(tools: list[JSON], servers: list[JSON]) -> str | None:
    """Why these tools and servers do not fit together, or None. Each server needs a toolset, each toolset a server."""
    names = [server["name"] for server in servers]
    used = [tool["mcp_server_name"] for tool in tools if tool["type"] == "mcp_toolset"]
    customs = [tool["name"] for tool in tools if tool["type"] == "custom"]
    for what, given in (("mcp_servers: names", names), ("tools: mcp_toolsets", used), ("tools: custom names", customs)):
        if len(set(given)) != len(given):
            return f"{what} must be unique"
    if sum(tool["type"] == "agent_toolset_20260401" for tool in tools) > 1:
        return "tools: at most one agent_toolset_20260401"
    if missing := set(used) - set(names):
        return f"tools: mcp_server_name '{min(missing)}' is not in mcp_servers"
    if unused := set(names) - set(used):
        return f"mcp_servers: '{min(unused)}' is not referenced by any mcp_toolset in tools"
    return None
