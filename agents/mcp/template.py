"""What a template is: the schemas of its config and policy, its tools, and the pure decision about one call.

A template knows no database, no network and no clock; what runs its tools is `agents.backends`, what serves them is
`agents.fleet`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypeVar  # Any: config and policy as they were posted

from pydantic import BaseModel, ConfigDict, Field

ToolName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
SecretName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]


class Settings(BaseModel):
    """Base of configs, policies and arguments: frozen, and without keys that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Policy(Settings):
    """What every template's policy can say. A tool is allowed when it is listed, or nothing is; a denied one never."""

    allowed_tools: list[ToolName] | None = Field(None, description="Only these tools may be called; null: all.")
    denied_tools: list[ToolName] = Field([], description="These tools may never be called.")
    calls_per_minute: int | None = Field(None, ge=1, le=6000, description="Of the whole deployment; null: 600.")


@dataclass(frozen=True)
class SecretReference:
    """A secret that a config names: `field` of the config, the secret's name, the kind it must have."""

    field: str
    name: str
    kind: str


@dataclass(frozen=True)
class Tool:
    """One tool of a template. `arguments` is checked before anything is decided; its schema is what clients see."""

    name: str
    description: str
    arguments: type[Settings]
    is_read_only: bool = True
    result: type[BaseModel] | None = None


@dataclass(frozen=True)
class Call:
    """One tool call whose arguments are valid."""

    tool: str
    arguments: Settings


@dataclass(frozen=True)
class Allow:
    """The policy lets the call pass."""


@dataclass(frozen=True)
class Deny:
    """The policy refuses the call: by which rule (a stable word), and why in words for whoever called."""

    rule: str
    reason: str


Decision = Allow | Deny

C = TypeVar("C", bound=Settings)
P = TypeVar("P", bound=Policy)


class Template(ABC, Generic[C, P]):
    """One kind of managed MCP server. Stateless."""

    kind: ClassVar[str]
    title: ClassVar[str]
    description: ClassVar[str]
    config: type[C]
    policy: type[P]
    tools: ClassVar[tuple[Tool, ...]]

    @abstractmethod
    def judge(self, call: Call, config: C, policy: P) -> Decision:
        """Return what this template's own rules say of a call that the common ones let pass. Pure; never raises for
        hostile arguments.
        """

    def secrets(self, config: C) -> tuple[SecretReference, ...]:
        """Return the secrets that a config names."""
        return ()

    def tool(self, name: str) -> Tool | None:
        """Return the tool of this name."""
        return next((tool for tool in self.tools if tool.name == name), None)

    def decide(self, call: Call, config: C, policy: P) -> Decision:
        """Return whether the policy lets this call pass: the rules common to all templates first, then its own."""
        return self._closed(call.tool, policy) or self.judge(call, config, policy)

    def offered(self, policy: P) -> list[Tool]:
        """Return the tools that the policy leaves, whatever their arguments."""
        return [tool for tool in self.tools if not self._closed(tool.name, policy)]

    def _closed(self, tool: str, policy: P) -> Deny | None:
        if tool in policy.denied_tools:
            return Deny("denied_tools", f"The policy of this deployment denies the tool {tool}.")
        if policy.allowed_tools is not None and tool not in policy.allowed_tools:
            return Deny("allowed_tools", f"The policy of this deployment does not allow the tool {tool}.")
        return None

    def read_config(self, posted: Mapping[str, Any]) -> C:
        """Return the config with its defaults. Raises `pydantic.ValidationError`."""
        return self.config.model_validate(posted)

    def read_policy(self, posted: Mapping[str, Any]) -> P:
        """Return the policy with its defaults. Raises `pydantic.ValidationError`."""
        return self.policy.model_validate(posted)
