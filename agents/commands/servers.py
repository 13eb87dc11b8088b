"""Describe, move, try, pin and archive MCP servers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any, ClassVar  # Any: JSON for the audit entry
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from pydantic import Field, model_serializer

from agents import convergence, delegating, pins, queries
from agents.actions import Action
from agents.commands.credentials import retire_credentials
from agents.commands.registration import Url
from agents.endpoints import origin_of
from agents.models import AgentMCPServer, Credential, DeploymentStatus, MCPServer, ServerState
from agents.queries.servers import servers_for_archive, servers_for_use, users_of_server
from agents.spec import MAX_MCP_TOOLS, Description, DisplayName, McpToolName, Part
from powerloom.commands.registry import Change, Command, Found, Need, Subject, each, handles, handles_all, subjects_in
from powerloom.kernel.errors import Conflict, Invalid, NotFound
from powerloom.kernel.refs import Actor

MOST_PINS = 2 * MAX_MCP_TOOLS  # a whole list, and as many that are gone
Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


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


def load_updates(commands: Sequence[UpdateServer], actor: Actor) -> list[Found]:
    servers = servers_for_use(actor, [command.server_id for command in commands])
    # What a server says of itself is read by the agents that have it, and so by those that act for people.
    further = delegating.needs_through(AgentMCPServer.objects.filter(server__in=servers), "server_id")
    rows = [servers.get(command.server_id) for command in commands]
    return [Subject(row, row.target(), needs=further.get(row.id, ())) if row else NotFound() for row in rows]


@handles_all(UpdateServer, load=load_updates)
def update_servers(commands: Sequence[UpdateServer], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    written: dict[UUID, MCPServer] = {}
    fields = {"generation"}
    moved: dict[UUID, tuple[MCPServer, str]] = {}

    def update(place: int) -> Change:
        server, named = subjects[place].row, commands[place].changes.model_dump()
        if "url" in named and server.is_managed:
            raise Invalid("The fleet serves this server, at an address of its own.", field="url")
        before = {name: getattr(server, name) for name in named}
        for name, value in named.items():
            setattr(server, name, value)
        server.generation += 1
        written[server.id] = server
        fields.update(named)
        if before.get("url") != named.get("url"):
            moved.setdefault(server.id, (server, before["url"]))
        return Change(server, before, named)

    changes = each(len(commands), update)
    MCPServer.objects.bulk_update(written.values(), sorted(fields))
    if moved:
        _move(moved.values())
    return changes


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
    return delegating.needs_through(AgentMCPServer.objects.filter(server=server), "server_id").get(server.id, ())


def load_archives(commands: Sequence[ArchiveServer], actor: Actor) -> list[Found]:
    ids = [command.server_id for command in commands]
    return subjects_in(servers_for_archive(actor, ids), ids)


@handles_all(ArchiveServer, load=load_archives)
def archive_servers(commands: Sequence[ArchiveServer], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    attached = AgentMCPServer.objects.filter(server__in=[subject.row for subject in subjects])
    used = set(attached.filter(agent__archived_at__isnull=True).values_list("server_id", flat=True))
    archived: list[MCPServer] = []
    now = timezone.now()

    def archive(place: int) -> Change:
        server: MCPServer = subjects[place].row
        if server.archived_at is not None:
            return Change(server, {"archived": True}, {"archived": True})
        if server.deployment is not None and server.deployment.archived_at is None:
            raise Conflict(f"{server.name} is the face of a deployment and goes with it. Destroy the deployment.")
        if server.id in used:
            seen = queries.agents_visible_to(actor).filter(pk__in=users_of_server(server).values("pk"))[:5]
            names = ", ".join(agent.ref for agent in seen) or "one that you cannot see"
            raise Conflict(f"{server.name} is attached to agents ({names}). Detach it first.")
        server.archived_at, server.probe_due_at, server.generation = now, None, server.generation + 1
        archived.append(server)
        return Change(server, {"archived": False}, {"archived": True})

    changes = each(len(commands), archive)
    if archived:
        MCPServer.objects.bulk_update(archived, ["archived_at", "probe_due_at", "generation"])
        retire_credentials(Q(server__in=archived))
    return changes


def _move(moved: Collection[tuple[MCPServer, str]]) -> None:
    """What was seen at the earlier URLs says nothing of the servers at their new ones."""
    now, servers = timezone.now(), [server for server, _ in moved]
    for server in servers:
        server.state, server.probe_error, server.probe_attempts = ServerState.UNVERIFIED, None, 0
        server.probe_due_at = now
    MCPServer.objects.bulk_update(servers, ["state", "probe_error", "probe_attempts", "probe_due_at"])
    pins.forget_listings(servers)
    away = [server.pk for server, earlier in moved if origin_of(earlier) != origin_of(server.url)]
    if away:
        held = Credential.objects.filter(server__in=away, archived_at__isnull=True, voided_at__isnull=True)
        held.update(voided_at=now)
    convergence.servers_moved(servers)


def _save(server: MCPServer, *fields: str) -> None:
    server.generation += 1
    server.save(update_fields=[*fields, "generation"])
