"""Register, describe, move, try, pin and archive MCP servers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self  # Any: JSON for the audit entry
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone
from pydantic import AfterValidator, Field, model_serializer, model_validator

from accounts.queries import ou_for
from agents import convergence, delegating, pins, probing, queries
from agents.actions import Action
from agents.commands.credentials import retire_credentials
from agents.endpoints import origin_of
from agents.models import Credential, DeploymentStatus, Discovery, MCPDeployment, MCPServer, ServerState
from agents.queries.servers import deployment_to_face, discovery_for, server_for_archive, users_of_server
from agents.spec import MAX_MCP_TOOLS, Description, DisplayName, McpToolName, Name, Part
from powerloom.commands.registry import Change, Command, Need, Subject, handles
from powerloom.kernel.errors import Conflict, Invalid, NameTaken, Stale
from powerloom.kernel.refs import Actor, Target
from powerloom.web.egress import fault_of_url


def _well_formed(url: str) -> str:
    if fault := fault_of_url(url):
        raise ValueError(fault)
    return url


Url = Annotated[str, Field(max_length=2048, pattern=r"^https?://"), AfterValidator(_well_formed)]
MOST_PINS = 2 * MAX_MCP_TOOLS  # a whole list, and as many that are gone
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


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


class ServerChanges(Part):
    """What is to change about an MCP server; what is not named stays."""

    display_name: DisplayName = ""
    description: Description | None = None
    url: Url = ""

    @model_serializer
    def _only_named(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


class UpdateServer(Command):
    """Change how an MCP server is shown, or where it is.

    With another URL nothing that was seen counts, so its tools are off until they are seen again as they were pinned;
    at another origin the credentials for the first are void.
    """

    action: ClassVar[str] = Action.MCP_SERVER_UPDATE
    server_id: UUID
    changes: ServerChanges


class ProbeServer(Command):
    """Have an MCP server looked at now."""

    action: ClassVar[str] = Action.MCP_SERVER_PROBE
    server_id: UUID


class TryTool(Command):
    """Note that somebody calls a tool by hand; the edge calls it and shows him the answer.

    What it is called with stands nowhere, as with agents' calls.
    """

    action: ClassVar[str] = Action.MCP_SERVER_USE
    server_id: UUID
    tool: McpToolName


class PinTools(Command):
    """Approve tools of a foreign server as whoever asked saw them: by name their hash, "" for one that is gone."""

    action: ClassVar[str] = Action.MCP_SERVER_PIN
    server_id: UUID
    tools: Annotated[dict[McpToolName, Sha256], Field(min_length=1, max_length=MOST_PINS)]


class ArchiveServer(Command):
    """Take an MCP server out of service for good. Refused while an agent has it.

    The face of a deployment goes with it: destroying is a set of both, the deployment first.
    """

    action: ClassVar[str] = Action.MCP_SERVER_ARCHIVE
    server_id: UUID


@dataclass(frozen=True)
class Found:
    """What a handshake found, if one was made. Not a row of the set: it never changes, and asking again makes another,
    which must not tell the same asked registration from itself.
    """

    discovery: Discovery | None


def load_create(command: CreateServer, actor: Actor) -> Subject:
    ou = ou_for(actor, command.ou_id)
    deployment = deployment_to_face(actor, command.deployment_id) if command.deployment_id else None
    found = discovery_for(actor, command.discovery_id) if command.discovery_id else None
    target = Target("mcp_server", command.id, command.name, ou.organization_id, ou.path)
    return Subject((ou, deployment, Found(found)), target)


@handles(CreateServer, load=load_create)
def create_server(command: CreateServer, *, subject: Subject, actor: Actor) -> Change:
    ou, deployment, handshake = subject.row
    found: Discovery | None = handshake.discovery
    _check_match(command, deployment, found)
    server = MCPServer(
        id=command.id,
        organization_id=ou.organization_id,
        ou=ou,
        deployment=deployment,
        probe_due_at=None if deployment else timezone.now(),
        **command.model_dump(include={"name", "display_name", "description", "url"}),
    )
    server.server_name = _free_server_name(server)
    _insert(server)
    after = command.model_dump(mode="json", exclude={"id", "ou_id", "discovery_id"}) | {"ou_path": ou.path}
    if found is not None:
        probing.saw(server, found, pin=True)
        after["tools"] = {tool["name"]: pins.definition_hash(tool) for tool in found.tools}
        found.delete()
    return Change(server, None, after | {"server_name": server.server_name})


def load_update(command: UpdateServer, actor: Actor) -> Subject:
    server = queries.server_for_change(actor, command.server_id)
    return Subject(server, server.target(), needs=_delegating(server))


@handles(UpdateServer, load=load_update)
def update_server(command: UpdateServer, *, subject: Subject, actor: Actor) -> Change:
    server: MCPServer = subject.row
    named = command.changes.model_dump()
    if "url" in named and server.is_managed:
        raise Invalid("The fleet serves this server, at an address of its own.", field="url")
    before = {name: getattr(server, name) for name in named}
    for name, value in named.items():
        setattr(server, name, value)
    _save(server, *named)
    if before.get("url") != named.get("url"):
        _move(server, before["url"])
    return Change(server, before, named)


def load_probe(command: ProbeServer, actor: Actor) -> Subject:
    server = queries.server_for_change(actor, command.server_id)
    return Subject(server, server.target())


@handles(ProbeServer, load=load_probe)
def probe_server(command: ProbeServer, *, subject: Subject, actor: Actor) -> Change:
    server: MCPServer = subject.row
    if server.is_managed:
        raise Conflict(f"{server.name} is managed: its deployment looks at it. Retry the deployment instead.")
    return Change(server)


def load_try(command: TryTool, actor: Actor) -> Subject:
    server = queries.server_for_read(actor, command.server_id)
    return Subject(server, server.target())


# Not holdable: whoever approved it would have it replayed by a worker, which has nobody to show the answer to.
@handles(TryTool, load=load_try, holdable=False)
def try_tool(command: TryTool, *, subject: Subject, actor: Actor) -> Change:
    server: MCPServer = subject.row
    tool = server.tools.filter(name=command.tool).first()
    if tool is None or not tool.is_on:
        raise Conflict(f"{server.name} has no tool {command.tool} that is on. Look at its tools, then try again.")
    if server.deployment is not None and server.deployment.status != DeploymentStatus.RUNNING:
        raise Conflict(f"{server.name} is {server.deployment.status}, so nothing answers. Wait until it runs.")
    return Change(server, None, {"tool": command.tool})


def load_pin(command: PinTools, actor: Actor) -> Subject:
    server = queries.server_for_change(actor, command.server_id)
    target = server.target()
    # What is pinned reaches the agents that have the server, so it takes the right to use it, as attaching does.
    return Subject(server, target, needs=(Need(Action.MCP_SERVER_USE, target), *_delegating(server)))


@handles(PinTools, load=load_pin)
def pin_tools(command: PinTools, *, subject: Subject, actor: Actor) -> Change:
    server: MCPServer = subject.row
    if server.is_managed:
        raise Conflict(f"{server.name} is managed: its tools are its template's and pinned with each deployment.")
    before = {tool.name: tool.pinned_sha256 for tool in server.tools.filter(name__in=command.tools)}
    pins.pin_tools(server, command.tools)
    _save(server)
    return Change(server, {"tools": before}, {"tools": dict(command.tools)})


def _delegating(server: MCPServer) -> tuple[Need, ...]:
    """What a server says of itself is read by the agents that have it, and so by those that act for people."""
    return delegating.needs_of_any(users_of_server(server), server.organization_id)


def load_archive(command: ArchiveServer, actor: Actor) -> Subject:
    server = server_for_archive(actor, command.server_id)
    return Subject(server, server.target())


@handles(ArchiveServer, load=load_archive)
def archive_server(command: ArchiveServer, *, subject: Subject, actor: Actor) -> Change:
    server: MCPServer = subject.row
    if server.archived_at is not None:
        return Change(server, {"archived": True}, {"archived": True})
    if server.deployment is not None and server.deployment.archived_at is None:
        raise Conflict(f"{server.name} is the face of a deployment and goes with it. Destroy the deployment.")
    if users_of_server(server).exists():
        seen = queries.agents_visible_to(actor).filter(pk__in=users_of_server(server).values("pk"))[:5]
        names = ", ".join(agent.ref for agent in seen) or "one that you cannot see"
        raise Conflict(f"{server.name} is attached to agents ({names}). Detach it first.")
    server.archived_at, server.probe_due_at = timezone.now(), None
    _save(server, "archived_at", "probe_due_at")
    retire_credentials(server=server)
    return Change(server, {"archived": False}, {"archived": True})


def _check_match(command: CreateServer, deployment: MCPDeployment | None, found: Discovery | None) -> None:
    if deployment is not None and (deployment.name, deployment.ou_id) != (command.name, command.ou_id):
        raise Invalid("A deployment's server has its name and OU.", field="name")
    if found is not None and found.url != command.url:
        raise Stale("The handshake was made with another URL. Ask again.")


def _free_server_name(server: MCPServer) -> str:
    """Return its name towards CMA: its own when no live server of the organization has it, else with a mark."""
    live = MCPServer.objects.filter(organization_id=server.organization_id, archived_at__isnull=True)
    if live.filter(server_name=server.name).exists():
        return f"{server.name}-{server.id.hex[-8:]}"
    return server.name


def _insert(server: MCPServer) -> None:
    taken = NameTaken(f"There is an MCP server {server.name} in this OU already.", field="name")
    if MCPServer.objects.filter(ou=server.ou, name=server.name, archived_at__isnull=True).exists():
        raise taken
    try:
        server.save(force_insert=True)
    except IntegrityError as error:  # another transaction took the name since we looked
        raise taken from error


def _move(server: MCPServer, earlier: str) -> None:
    server.state, server.probe_error, server.probe_attempts = ServerState.UNVERIFIED, None, 0
    server.probe_due_at = timezone.now()
    server.save(update_fields=["state", "probe_error", "probe_attempts", "probe_due_at"])
    pins.forget_listing(server)
    if origin_of(earlier) != origin_of(server.url):
        held = Credential.objects.filter(server=server, archived_at__isnull=True, voided_at__isnull=True)
        held.update(voided_at=timezone.now())
    convergence.server_moved(server)


def _save(server: MCPServer, *fields: str) -> None:
    server.generation += 1
    server.save(update_fields=[*fields, "generation"])
