"""Attached MCP servers to JSON: what each gives its agent now, and what keeps it from the agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # JSON

from agents import connections
from agents.connections import Lent
from agents.models import Agent, AgentMCPServer
from agents.queries.server_attachments import setting_of

JSON = dict[str, Any]


def server_attachments(agent: Agent, rows: Sequence[AgentMCPServer]) -> list[JSON]:
    """Return the agent's attached servers; what names one in a path is its registration's id. Five queries."""
    return [_row(one) for one in connections.lent_to(agent, rows)]


def _row(one: Lent) -> JSON:
    server = one.server
    return {
        "mcp_server_registration_id": server.pk,
        "name": server.name,
        "server_name": server.server_name,
        "state": server.state,
        "deployment_status": server.deployment.status if server.deployment else None,
        **setting_of(one.row).model_dump(mode="json", include={"permission", "tools", "four_eyes"}),
        "tools_on": one.tools,
        "credential": one.connection.as_json(),
        "withheld": one.withheld,
    }
