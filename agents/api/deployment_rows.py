"""Templates, deployments and their calls to JSON, whole batches at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # JSON

from accounts.rbac import shown
from accounts.reasons import reasons_against
from agents import stops
from agents.actions import ON_DEPLOYMENT
from agents.endpoints import fleet_endpoint
from agents.mcp.absent import ABSENT
from agents.mcp.catalog import KINDS, TEMPLATES
from agents.mcp.template import Template, Tool
from agents.models import MCPCall, MCPDeployment, MCPTool
from agents.queries.deployments import call_counts, tools_of, visible_agent_ids, visible_session_ids
from powerloom.kernel.refs import Actor

JSON = dict[str, Any]


def templates() -> list[JSON]:
    """Return every kind of the closed list, in its order."""
    return [_template(TEMPLATES[kind]) if kind in TEMPLATES else _absent(kind) for kind in KINDS]


def deployments(rows: Sequence[MCPDeployment]) -> list[JSON]:
    """Return the deployments as the list shows them; no query."""
    return [_deployment(row) for row in rows]


def deployment(row: MCPDeployment, actor: Actor) -> JSON:
    """Return one deployment as the list shows it and more."""
    return _deployment(row) | {
        "steps": row.steps,
        "warnings": row.warnings,
        "attempts": row.attempts,
        "next_try_at": row.due_at,
        "running_since": row.running_since,
        "explain": stops.of_deployment(row).as_json(),
        "tools": [_seen_tool(tool) for tool in tools_of(row)],
        "recent_calls": call_counts(row),
        "can": {action: not reason for action, reason in reasons_against(actor, row.target(), ON_DEPLOYMENT).items()},
    }


def calls(rows: Sequence[MCPCall], actor: Actor) -> list[JSON]:
    """Return the calls; the agent and the session are each shown to those who may read it. Two queries."""
    agents = visible_agent_ids(actor, [row.agent_id for row in rows])
    sessions = visible_session_ids(actor, [row.session_id for row in rows])
    return [_call(row, knows_agent=row.agent_id in agents, knows_session=row.session_id in sessions) for row in rows]


def _template(template: Template[Any, Any]) -> JSON:
    return {
        "kind": template.kind,
        "available": True,
        "title": template.title,
        "description": template.description,
        "config_schema": template.config.model_json_schema(),
        "policy_schema": template.policy.model_json_schema(),
        "tools": [_tool(tool) for tool in template.tools],
    }


def _absent(kind: str) -> JSON:
    title, description = ABSENT[kind]
    return {
        "kind": kind,
        "available": False,
        "title": title,
        "description": description,
        "config_schema": None,
        "policy_schema": None,
        "tools": [],
    }


def _tool(tool: Tool) -> JSON:
    return {
        "name": tool.name,
        "description": tool.description,
        "is_read_only": tool.is_read_only,
        "input_schema": tool.arguments.model_json_schema(),
        "output_schema": tool.result.model_json_schema() if tool.result else None,
    }


def _deployment(row: MCPDeployment) -> JSON:
    registration = getattr(row, "registration", None)  # Django raises where a row of the other side is absent
    return {
        "id": row.id,
        "name": row.name,
        "display_name": row.display_name,
        "ou_id": row.ou_id,
        "ou_path": shown(row.ou.path),
        "template_kind": row.template_kind,
        "isolation_mode": row.isolation_mode,
        "config_json": row.config,
        "policy_json": row.policy,
        "status": row.status,
        "status_reason": row.status_reason,
        "endpoint_url": fleet_endpoint(row.id),
        "mcp_server_registration_id": registration.id if registration else None,
        "generation": row.generation,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def _seen_tool(tool: MCPTool) -> JSON:
    seen = tool.definition or {}
    return {
        "name": tool.name,
        "description": seen.get("description") or "",
        "input_schema": seen.get("input_schema") or {},
    }


def _call(row: MCPCall, *, knows_agent: bool, knows_session: bool) -> JSON:
    return {
        "id": row.id,
        "tool": row.tool,
        "outcome": row.outcome,
        "rule": row.rule,
        "words": row.words,
        "milliseconds": row.milliseconds,
        "agent_id": row.agent_id if knows_agent else None,
        "session_id": row.session_id if knows_session else None,
        "created_at": row.created_at,
    }
