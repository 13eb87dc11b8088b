"""MCP servers to JSON, whole batches at a time: a constant number of queries for any number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # JSON

from accounts.rbac import shown
from accounts.reasons import reasons_against
from agents import stops
from agents.actions import ON_SERVER
from agents.diff import diff
from agents.endpoints import endpoint_of
from agents.models import MCPServer, MCPTool
from agents.pins import PinState, state_of
from agents.queries.servers import tool_counts, tools_of
from powerloom.kernel.refs import Actor

JSON = dict[str, Any]


def servers(rows: Sequence[MCPServer]) -> list[JSON]:
    """Return the MCP servers as the list shows them; one query."""
    counts = tool_counts(row.id for row in rows)
    return [_server(row, *counts.get(row.id, (0, 0))) for row in rows]


def server(row: MCPServer, actor: Actor) -> JSON:
    """Return one MCP server as the list shows it and more."""
    can = {action: not reason for action, reason in reasons_against(actor, row.target(), ON_SERVER).items()}
    listed = servers([row])[0]
    why = stops.of_server(row, flagged=listed["flagged_count"]).as_json()
    return listed | {"tools": [_tool(tool) for tool in tools_of(row)], "explain": why, "can": can}


def _server(row: MCPServer, every: int, on: int) -> JSON:
    return {
        "id": row.id,
        "name": row.name,
        "server_name": row.server_name,
        "display_name": row.display_name,
        "description": row.description,
        "url": endpoint_of(row),
        "ou_id": row.ou_id,
        "ou_path": shown(row.ou.path),
        "mcp_deployment_id": row.deployment_id,
        "state": row.state,
        "probe_error": row.probe_error,
        "server_info": row.server_info,
        "protocol_version": row.protocol_version,
        "tool_count": every,
        "flagged_count": every - on,
        "probed_at": row.probed_at,
        "next_probe_at": row.probe_due_at,
        "generation": row.generation,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _tool(row: MCPTool) -> JSON:
    state = state_of(row)
    definition = row.definition or row.pinned or {}
    changes = diff(row.pinned or {}, row.definition or {}) if state == PinState.CHANGED else []
    return {
        "name": row.name,
        "state": state,
        "description": definition.get("description"),
        "input_schema": definition.get("input_schema"),
        "output_schema": definition.get("output_schema"),
        "sha256": row.sha256,
        "pinned_sha256": row.pinned_sha256,
        "changes": [one.as_json() for one in changes],
        "seen_at": row.seen_at,
        "pinned_at": row.pinned_at,
    }
