"""Bodies of `/v1/environments`, and how a configuration is merged."""

from typing import Annotated, Literal

from pydantic import Field

from powerloom.cma.local.bodies.base import Body, Metadata, MetadataKey
from powerloom.cma.local.errors import invalid
from powerloom.cma.types import JSON

Name = Annotated[str, Field(min_length=1, max_length=256)]
Description = Annotated[str, Field(max_length=2048)]
Scope = Literal["organization", "account"]
CLOSED = {"type": "limited", "allowed_hosts": [], "allow_mcp_servers": False, "allow_package_managers": False}
MANAGERS = ("apt", "cargo", "gem", "go", "npm", "pip")


class Unrestricted(Body):
    """The whole internet."""

    type: Literal["unrestricted"]


class Limited(Body):
    """Named hosts only."""

    type: Literal["limited"]
    allowed_hosts: list[str] | None = None
    allow_mcp_servers: bool | None = None
    allow_package_managers: bool | None = None


class Packages(Body):
    """What is installed, by package manager."""

    type: Literal["packages"] | None = None
    apt: list[str] | None = None
    cargo: list[str] | None = None
    gem: list[str] | None = None
    go: list[str] | None = None
    npm: list[str] | None = None
    pip: list[str] | None = None


class Cloud(Body):
    """A container of CMA's."""

    type: Literal["cloud"]
    networking: Annotated[Unrestricted | Limited, Field(discriminator="type")] | None = None
    packages: Packages | None = None


class SelfHosted(Body):
    """A container of the customer's."""

    type: Literal["self_hosted"]


Config = Annotated[Cloud | SelfHosted, Field(discriminator="type")]


class EnvironmentCreate(Body):
    """POST /v1/environments."""

    name: Name
    config: Config | None = None
    description: Description | None = None
    metadata: Metadata = {}
    scope: Scope | None = None


class EnvironmentUpdate(Body):
    """POST /v1/environments/{id}. In metadata, null or an empty string deletes."""

    name: Name | None = None
    config: Config | None = None
    description: Description | None = None
    metadata: dict[MetadataKey, Annotated[str, Field(max_length=512)] | None] = {}
    scope: Scope | None = None


def merged(config: Cloud | SelfHosted | None, before: JSON | None = None) -> JSON:
    """The full configuration: what is left out stays, or takes its default. Raises 400."""
    if config is None:
        return before or _cloud(Cloud(type="cloud"), None)
    if before is not None and before["type"] != config.type:
        raise invalid("config.type cannot be changed", code="invalid_config_type_change")
    return {"type": "self_hosted"} if isinstance(config, SelfHosted) else _cloud(config, before)


def _cloud(config: Cloud, before: JSON | None) -> JSON:
    networking = _networking(config.networking, before and before["networking"])
    packages = _packages(config.packages, before and before["packages"])
    wants = any(packages[manager] for manager in MANAGERS)
    if wants and networking["type"] == "limited" and not networking["allow_package_managers"]:
        raise invalid("config.networking.allow_package_managers must be true when packages are specified")
    return {"type": "cloud", "networking": networking, "packages": packages}


def _networking(given: Unrestricted | Limited | None, before: JSON | None) -> JSON:
    if given is None:
        return before or {"type": "unrestricted"}
    if isinstance(given, Unrestricted):
        return {"type": "unrestricted"}
    known = before if before and before["type"] == "limited" else {}
    said = given.model_dump(exclude_none=True)
    return {**CLOSED, **known, **said}


def _packages(given: Packages | None, before: JSON | None) -> JSON:
    kept = before or {}
    lists = {
        manager: kept.get(manager, []) if given is None or getattr(given, manager) is None else getattr(given, manager)
        for manager in MANAGERS
    }
    return {"type": "packages", **lists}
