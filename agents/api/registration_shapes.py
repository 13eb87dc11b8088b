"""What the routes of MCP servers answer, for the API's description; tests hold the answers to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any  # Any: tool schemas and what a server says of itself
from uuid import UUID

from ninja import Schema

from agents.api.shapes import ExplainOut, FieldDiffOut
from agents.models import ServerState
from agents.pins import PinState


class ProbeErrorOut(Schema):
    """At which step the last handshake failed, and what was answered, in words."""

    step: str
    words: str


class ServerOut(Schema):
    """One MCP server: a foreign one at the URL that was posted, or the face of a deployment at the fleet's.

    `server_name` is its name towards agents. `flagged_count` counts the tools that are new, changed or gone since they
    were pinned, and therefore off. `probed_at` is when a handshake last succeeded.
    """

    id: UUID
    name: str
    server_name: str
    display_name: str
    description: str | None
    url: str
    ou_id: UUID
    ou_path: str
    mcp_deployment_id: UUID | None
    state: ServerState
    probe_error: ProbeErrorOut | None
    server_info: dict[str, Any]
    protocol_version: str
    tool_count: int
    flagged_count: int
    probed_at: datetime | None
    next_probe_at: datetime | None
    generation: int
    created_at: datetime
    updated_at: datetime


class ServerToolOut(Schema):
    """One tool as the server lists it; one that is gone as it was pinned. `changes` is what differs from the pin."""

    name: str
    state: PinState
    description: str | None
    input_schema: Any
    output_schema: Any
    sha256: str
    pinned_sha256: str
    changes: list[FieldDiffOut]
    seen_at: datetime | None
    pinned_at: datetime | None


class ServerDetailOut(ServerOut):
    """One MCP server with its tools, and what the caller may do with it."""

    tools: list[ServerToolOut]
    explain: ExplainOut
    can: dict[str, bool]
