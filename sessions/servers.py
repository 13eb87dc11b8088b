"""How a session's agent stood with its MCP servers; asked only when a session ended without using any of them."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from agents import connections, withholding
from agents.connections import Connection, Holding
from agents.models import AgentMCPServer, AgentVersion, MCPServer
from agents.queries.server_attachments import tools_on
from agents.spec import AgentSpec, AttachedServer
from sessions.degradation import Server, Standing
from sessions.models import AgentSession

NO_VAULT = "the session began before the agent had a vault"


def standings(session_id: UUID) -> list[Server]:
    """Return every server of the version that ran, and how the agent stands with it; nine queries for any number."""
    session = AgentSession.objects.only("agent_id", "agent_version", "cma_vault_id").get(pk=session_id)
    version = AgentVersion.objects.get(agent_id=session.agent_id, number=session.agent_version)
    spec = AgentSpec.model_validate(version.spec)
    attached = {one.mcp_server_registration_id: one for one in spec.mcp_servers}
    useless = _useless(session.agent_id, attached)
    held = connections.of(session.agent_id, attached)
    return [
        Server(server.server_name, useless[server.pk])
        if server.pk in useless
        else _server(server.server_name, held[server.pk], has_vault=bool(session.cma_vault_id))
        for server in MCPServer.objects.filter(pk__in=attached).order_by("server_name")
    ]


def _useless(agent_id: UUID, attached: Mapping[UUID, AttachedServer]) -> dict[UUID, Standing]:
    """Return those servers that no credential would open to the agent, by what keeps it from them."""
    withheld = withholding.of([agent_id]).get(agent_id, set())
    still = set(AgentMCPServer.objects.filter(agent_id=agent_id).values_list("server_id", flat=True))
    offered = tools_on(attached)
    found = {}
    for server_id, setting in attached.items():
        if server_id not in still:
            found[server_id] = Standing.DETACHED
        elif server_id in withheld:
            found[server_id] = Standing.WITHHELD
        elif not any(tool.enabled for tool in setting.applied_to(offered.get(server_id, [])).values()):
            found[server_id] = Standing.NO_TOOLS
    return found


def _server(name: str, held: Connection, *, has_vault: bool) -> Server:
    standing, why = Standing[held.holding.name], held.why
    if held.holding is Holding.GOOD and not has_vault:
        standing, why = Standing.UNSYNCED, NO_VAULT
    return Server(name, standing, held.credential_id, why)
