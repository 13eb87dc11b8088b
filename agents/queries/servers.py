"""Reads of MCP servers. Whatever a function here returns, its actor may see; what he may not see is absent."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Count, F, Q, QuerySet

from accounts import rbac
from accounts.queries import ous_visible_to
from agents.actions import Action
from agents.models import Agent, AgentMCPServer, Discovery, MCPDeployment, MCPServer, MCPTool
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor


def servers_visible_to(actor: Actor) -> QuerySet[MCPServer]:
    """Return the live MCP servers that the actor may read, with their OU and deployment."""
    return _readable(actor).filter(archived_at__isnull=True)


def server_for_read(actor: Actor, server_id: UUID) -> MCPServer:
    """Return a live MCP server that the actor may read. Raises `NotFound`."""
    return _one(servers_visible_to(actor), server_id)


def servers_for_read(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, MCPServer]:
    """Return those of the servers that the actor may read, by id; one query."""
    return {server.id: server for server in servers_visible_to(actor).filter(pk__in=set(ids))}


def server_for_change(actor: Actor, server_id: UUID) -> MCPServer:
    """As `server_for_read`, locked until the end of the transaction."""
    return _one(servers_visible_to(actor).select_for_update(of=("self",)), server_id)


def servers_for_archive(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, MCPServer]:
    """As `servers_for_use`, archived ones too: archiving twice is archiving once."""
    rows = _readable(actor).filter(pk__in=set(ids)).order_by("pk").select_for_update(of=("self",))
    return {server.id: server for server in rows}


def servers_for_use(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, MCPServer]:
    """Return those of the servers that the actor may read, by id, locked in the order of their ids."""
    rows = servers_visible_to(actor).filter(pk__in=list(ids)).order_by("pk").select_for_update(of=("self",))
    return {server.id: server for server in rows}


def users_of_server(server: MCPServer) -> QuerySet[Agent]:
    """Return the live agents that have the server attached."""
    return users_of_servers([server])


def users_of_servers(servers: Iterable[MCPServer]) -> QuerySet[Agent]:
    """Return the live agents that have one of these servers attached."""
    attached = AgentMCPServer.objects.filter(server__in=list(servers))
    return Agent.objects.filter(archived_at__isnull=True, pk__in=attached.values("agent_id"))


def tools_of(server: MCPServer) -> list[MCPTool]:
    """Return every tool of the server, by name."""
    return list(server.tools.order_by("name"))


def tool_named(server: MCPServer, name: str) -> MCPTool | None:
    """Return the tool of this name, None where the server has none."""
    return server.tools.filter(name=name).first()


def tool_counts(ids: Iterable[UUID]) -> dict[UUID, tuple[int, int]]:
    """Return how many tools each server has seen or pinned, and how many of them are on; one query."""
    is_on = Q(sha256=F("pinned_sha256")) & ~Q(sha256="")
    rows = MCPTool.objects.filter(server_id__in=list(ids)).values("server_id")
    counted = rows.annotate(every=Count("pk"), on=Count("pk", filter=is_on))
    return {row["server_id"]: (row["every"], row["on"]) for row in counted}


def discoveries_for(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, Discovery]:
    """Return what handshakes found for the actor's organization, by id; one query, if any is asked for."""
    asked = set(ids)
    return Discovery.objects.filter(Q(organization_id=actor.organization_id)).in_bulk(asked) if asked else {}


def deployments_to_face(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, MCPDeployment]:
    """Return the live deployments of the actor's organization that registrations are made for, in the same set of
    commands, by id, locked in the order of their ids; one query, if any is asked for.
    """
    asked = set(ids)
    rows = MCPDeployment.objects.filter(Q(organization_id=actor.organization_id), archived_at__isnull=True)
    locked = rows.filter(pk__in=asked).order_by("pk").select_for_update(of=("self",))
    return {deployment.id: deployment for deployment in locked} if asked else {}


def taken_server_names(organization_id: UUID, names: Iterable[str]) -> set[str]:
    """Return which of these names live servers of the organization have towards CMA; one query."""
    live = MCPServer.objects.filter(organization_id=organization_id, archived_at__isnull=True)
    return set(live.filter(server_name__in=set(names)).values_list("server_name", flat=True))


def may_register(actor: Actor, ou_id: UUID) -> bool:
    """Tell whether it is worth talking to a server for this actor. The bus decides; this only spares the call."""
    ou = ous_visible_to(actor).filter(pk=ou_id).first()
    return ou is not None and rbac.may(actor, Action.MCP_SERVER_CREATE, ou.path).allowed


def _readable(actor: Actor) -> QuerySet[MCPServer]:
    rows = MCPServer.objects.filter(Q(organization_id=actor.organization_id))
    return rows.filter(rbac.permitted(actor, Action.MCP_SERVER_READ)).select_related("ou", "deployment")


def _one(rows: QuerySet[MCPServer], server_id: UUID) -> MCPServer:
    found = rows.filter(pk=server_id).first()
    if found is None:
        raise NotFound
    return found
