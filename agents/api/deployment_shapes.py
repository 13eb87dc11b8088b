"""What the routes of templates and managed deployments answer; tests hold the answers to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal  # Any: JSON Schemas, and config and policy as posted
from uuid import UUID

from ninja import Schema

from agents.api.shapes import ExplainOut
from agents.mcp.catalog import Kind
from agents.models import CallOutcome, DeploymentStatus


class ToolOut(Schema):
    """One tool of a template: what a call takes, and what it answers where that has a schema."""

    name: str
    description: str
    is_read_only: bool
    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None


class TemplateOut(Schema):
    """One kind of managed MCP server. One that is not available here has no schemas and no tools."""

    kind: Kind
    available: bool
    title: str
    description: str
    config_schema: dict[str, Any] | None
    policy_schema: dict[str, Any] | None
    tools: list[ToolOut]


class DeploymentOut(Schema):
    """One managed deployment. `config_json` and `policy_json` are exactly what was posted."""

    id: UUID
    name: str
    display_name: str
    ou_id: UUID
    ou_path: str
    template_kind: Kind
    isolation_mode: Literal["shared"]
    config_json: dict[str, Any]
    policy_json: dict[str, Any]
    status: DeploymentStatus
    status_reason: str
    endpoint_url: str
    mcp_server_registration_id: UUID | None
    generation: int
    created_at: datetime
    updated_at: datetime


class StepOut(Schema):
    """One step of the last attempt to deploy."""

    step: str
    ok: bool
    words: str


class SeenToolOut(Schema):
    """One tool that the deployment was seen to answer with."""

    name: str
    description: str
    input_schema: dict[str, Any]


class CallCountsOut(Schema):
    """The calls of the last 24 hours by outcome."""

    ok: int
    error: int
    denied: int


class DeploymentDetailOut(DeploymentOut):
    """One deployment with how far it came, what it serves, how it is used, and what the caller may do with it."""

    steps: list[StepOut]
    warnings: list[str]
    attempts: int
    next_try_at: datetime | None
    running_since: datetime | None
    explain: ExplainOut
    tools: list[SeenToolOut]
    recent_calls: CallCountsOut
    can: dict[str, bool]


class CallOut(Schema):
    """One tool call that the fleet answered. Who called is null when the caller of this route may not see the agent."""

    id: UUID
    tool: str
    outcome: CallOutcome
    rule: str
    words: str
    milliseconds: int
    agent_id: UUID | None
    session_id: UUID | None
    created_at: datetime
