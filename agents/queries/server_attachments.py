"""Reads of MCP servers as agents have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db.models import F

from agents.models import Agent, AgentMCPServer, MCPTool
from agents.spec import AttachedServer
from powerloom.kernel.errors import NotFound


def server_attachments_of(agent: Agent) -> Sequence[AgentMCPServer]:
    """Return the agent's attached servers in the order in which they were attached, with OU and deployment."""
    return server_attachments_of_many([agent])[agent.id]


def server_attachments_of_many(agents: Iterable[Agent]) -> dict[UUID, list[AgentMCPServer]]:
    """As `server_attachments_of`, for many agents at once, by id; one query."""
    found: dict[UUID, list[AgentMCPServer]] = {agent.id: [] for agent in agents}
    rows = AgentMCPServer.objects.filter(agent__in=list(found))
    for row in rows.select_related("server", "server__ou", "server__deployment").order_by("pk"):
        found[row.agent_id].append(row)
    return found


def server_attachment_of(agent: Agent, server_id: UUID) -> AgentMCPServer:
    """Return the agent's attachment of one server. Raises `NotFound`."""
    found = AgentMCPServer.objects.filter(agent=agent, server_id=server_id).first()
    if found is None:
        raise NotFound
    return found


def setting_of(attachment: AgentMCPServer) -> AttachedServer:
    """Return an attached server as the spec has it."""
    return AttachedServer.model_validate(
        {
            "mcp_server_registration_id": attachment.server_id,
            "permission": attachment.permission,
            "tools": attachment.tools,
            "four_eyes": attachment.four_eyes,
        }
    )


def tools_on(server_ids: Iterable[UUID]) -> dict[UUID, list[str]]:
    """Return the names of each server's tools that are as they were pinned; one query."""
    rows = MCPTool.objects.filter(server__in=list(server_ids), sha256=F("pinned_sha256")).exclude(sha256="")
    found: dict[UUID, list[str]] = {}
    for server_id, name in rows.order_by("name").values_list("server_id", "name"):
        found.setdefault(server_id, []).append(name)
    return found
