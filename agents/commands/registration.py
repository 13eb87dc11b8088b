"""Register MCP servers: foreign ones at their URLs, and the faces of managed deployments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self  # Any: JSON for the audit entry
from uuid import UUID

from django.utils import timezone
from pydantic import AfterValidator, Field, model_validator

from accounts.models import OU
from accounts.queries import ous_for
from agents import pins, probing
from agents.actions import Action
from agents.models import Discovery, MCPDeployment, MCPServer
from agents.queries.servers import deployments_to_face, discoveries_for, taken_server_names
from agents.spec import Description, DisplayName, Name, Part
from powerloom.commands.naming import insert_named
from powerloom.commands.registry import Change, Command, Found, Subject, each, handles_all
from powerloom.kernel.errors import Invalid, NotFound, Stale
from powerloom.kernel.refs import Actor, Target
from powerloom.web.egress import fault_of_url


def _well_formed(url: str) -> str:
    if fault := fault_of_url(url):
        raise ValueError(fault)
    return url


Url = Annotated[str, Field(max_length=2048, pattern=r"^https?://"), AfterValidator(_well_formed)]


class ServerFields(Part):
    """What one says of a server of one's own. The URL is kept exactly as it was given."""

    name: Name
    display_name: DisplayName
    description: Description | None = None
    ou_id: UUID
    url: Url


class CreateServer(Command):
    """Register an MCP server: a foreign one at its URL, or the face of a deployment made in the same set.

    `discovery_id` names what a handshake found; its tools are pinned. Without one the server is unverified, and the
    tools of the first listing that succeeds are.
    """

    action: ClassVar[str] = Action.MCP_SERVER_CREATE
    id: UUID
    ou_id: UUID
    name: Name
    display_name: DisplayName
    description: Description | None = None
    url: Url | Annotated[str, Field(max_length=0)] = ""
    deployment_id: UUID | None = None
    discovery_id: UUID | None = None

    @model_validator(mode="after")
    def _is_reached_one_way(self) -> Self:
        if bool(self.url) == (self.deployment_id is not None):
            raise ValueError("a server has a url, or a deployment serves it")
        return self


@dataclass(frozen=True)
class Seen:
    """What a handshake found, if one was made. Not a row of the set: it never changes, and asking again makes another,
    which must not tell the same asked registration from itself.
    """

    discovery: Discovery | None


def load_creates(commands: Sequence[CreateServer], actor: Actor) -> list[Found]:
    ous = ous_for(actor, [command.ou_id for command in commands])
    deployments = deployments_to_face(actor, filter(None, (command.deployment_id for command in commands)))
    discoveries = discoveries_for(actor, filter(None, (command.discovery_id for command in commands)))
    found: list[Found] = []
    for command in commands:
        ou = ous.get(command.ou_id)
        deployment = deployments.get(command.deployment_id) if command.deployment_id else None
        seen = discoveries.pop(command.discovery_id, None) if command.discovery_id else None  # each is taken once
        lacks_deployment = command.deployment_id is not None and deployment is None
        lacks_discovery = command.discovery_id is not None and seen is None
        if ou is None or lacks_deployment or lacks_discovery:
            found.append(NotFound())
            continue
        target = Target("mcp_server", command.id, command.name, ou.organization_id, ou.path)
        found.append(Subject((ou, deployment, Seen(seen)), target))
    return found


@handles_all(CreateServer, load=load_creates)
def create_servers(commands: Sequence[CreateServer], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    def make(place: int) -> MCPServer:
        ou, deployment, seen = subjects[place].row
        _check_match(commands[place], deployment, seen.discovery)
        return _new(commands[place], ou, deployment)

    servers = each(len(commands), make)
    _name_towards_cma(servers)
    found: list[tuple[MCPServer, Discovery]] = [
        (server, subject.row[2].discovery)
        for server, subject in zip(servers, subjects, strict=True)
        if subject.row[2].discovery
    ]
    for server, discovery in found:
        probing.verified(server, discovery)
    insert_named(MCPServer, servers, what="an MCP server")
    pins.first_listings((server, discovery.tools) for server, discovery in found)
    Discovery.objects.filter(pk__in=[discovery.pk for _, discovery in found]).delete()
    return [
        Change(server, None, _described(command, server, subject.row[2].discovery))
        for command, server, subject in zip(commands, servers, subjects, strict=True)
    ]


def _new(command: CreateServer, ou: OU, deployment: MCPDeployment | None) -> MCPServer:
    return MCPServer(
        id=command.id,
        organization_id=ou.organization_id,
        ou=ou,
        deployment=deployment,
        probe_due_at=None if deployment else timezone.now(),
        **command.model_dump(include={"name", "display_name", "description", "url"}),
    )


def _check_match(command: CreateServer, deployment: MCPDeployment | None, found: Discovery | None) -> None:
    if deployment is not None and (deployment.name, deployment.ou_id) != (command.name, command.ou_id):
        raise Invalid("A deployment's server has its name and OU.", field="name")
    if found is not None and found.url != command.url:
        raise Stale("The handshake was made with another URL. Ask again.")


def _name_towards_cma(servers: Iterable[MCPServer]) -> None:
    """Give each its own name when no live server of the organization has it, else that with a mark."""
    servers = list(servers)
    taken = taken_server_names(servers[0].organization_id, {server.name for server in servers})
    for server in servers:
        server.server_name = f"{server.name}-{server.id.hex[-8:]}" if server.name in taken else server.name
        taken.add(server.server_name)


def _described(command: CreateServer, server: MCPServer, found: Discovery | None) -> dict[str, Any]:
    said = command.model_dump(mode="json", exclude={"id", "ou_id", "discovery_id"}) | {"ou_path": server.ou.path}
    tools = {"tools": {tool["name"]: pins.definition_hash(tool) for tool in found.tools}} if found else {}
    return said | tools | {"server_name": server.server_name}
