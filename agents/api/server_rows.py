"""Attached MCP servers to JSON: what each gives its agent now, and what keeps it from the agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # JSON

from agents import connections, withholding
from agents.commands.attached import setting_of
from agents.models import Agent, AgentMCPServer
from agents.queries.server_attachments import tools_on

JSON = dict[str, Any]


def server_attachments(agent: Agent, rows: Sequence[AgentMCPServer]) -> list[JSON]:
    """Return the agent's attached servers; what names one in a path is its registration's id. Five queries."""
    ids = [row.server_id for row in rows]
    held, withheld, offered = (
        connections.of(agent.pk, ids),
        withholding.server_reasons(agent, rows),
        tools_on(ids),
    )
    return [
        {
            "mcp_server_registration_id": row.server_id,
            "name": row.server.name,
            "server_name": row.server.server_name,
            "state": row.server.state,
            "deployment_status": row.server.deployment.status if row.server.deployment else None,
            **setting_of(row).model_dump(mode="json", include={"permission", "tools", "four_eyes"}),
            "tools_on": _tools_on(row, offered.get(row.server_id, [])),
            "credential": held[row.server_id].as_json(),
            "withheld": withheld.get(row.server_id, ""),
        }
        for row in rows
    ]


def _tools_on(row: AgentMCPServer, offered: Sequence[str]) -> dict[str, str]:
    """Return the tools that the agent may call, each with its permission."""
    tools = setting_of(row).applied_to(offered)
    return {name: tool.permission for name, tool in tools.items() if tool.enabled}
