"""Where an MCP server is reached: a foreign one at its own URL, a managed one at the fleet."""

from __future__ import annotations

from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

from agents.models import MCPServer

PORTS = {"http": 80, "https": 443}


def endpoint_of(server: MCPServer) -> str:
    """Return the URL that CMA and our own clients use. Joined when asked for, so that a moved fleet moves all."""
    return fleet_endpoint(server.deployment_id) if server.deployment_id else server.url


def fleet_endpoint(deployment_id: UUID) -> str:
    """Return the URL of a deployment at the fleet."""
    return f"{settings.FLEET_URL}/mcp/{deployment_id}/mcp"


def origin_of(url: str) -> str:
    """Return scheme, host and port of a registered URL, the port always said: to whom a foreign token belongs."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or PORTS[parts.scheme]}"
