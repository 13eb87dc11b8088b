"""Where an MCP server is reached: a foreign one at its own URL, a managed one at the fleet."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings

if TYPE_CHECKING:  # the checks of a start ask here before there are models
    from agents.models import MCPServer

PORTS = {"http": 80, "https": 443}


def endpoint_of(server: MCPServer) -> str:
    """Return the URL that CMA and our own clients use. Joined when asked for, so that a moved fleet moves all."""
    return fleet_endpoint(server.deployment_id) if server.deployment_id else server.url


def fleet_endpoint(deployment_id: UUID) -> str:
    """Return the URL of a deployment at the fleet."""
    return f"{settings.FLEET_URL}/mcp/{deployment_id}/mcp"


def fleet_fault(organization_id: UUID | None = None) -> str:
    """Return why the runtime of an organization (None: of any of them) cannot reach the fleet, in words that say what
    to do; empty when nothing speaks against it.
    """
    own = settings.CMA_ACCOUNTS
    if organization_id is None:
        urls = [settings.CMA_URL, *(account.get("url", "") for account in own.values())]
    else:
        urls = [own.get(str(organization_id), {}).get("url", settings.CMA_URL)]
    faults = (unreachable(cma_url=url, fleet_url=settings.FLEET_URL) for url in urls)
    return next(filter(None, faults), "")


def unreachable(*, cma_url: str, fleet_url: str) -> str:
    """Return why a runtime there cannot reach a fleet here, as far as the addresses tell. Pure."""
    if not cma_url or is_loopback(cma_url) or not is_loopback(fleet_url):
        return ""
    return (
        f"The runtime at {cma_url} cannot reach the fleet of managed MCP servers at {fleet_url}, an address of this "
        "machine alone. Set POWERLOOM_FLEET_URL to one that it can reach"
    )


def is_loopback(url: str) -> bool:
    """Tell whether the URL names the machine it is used on. Pure: no name is looked up."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def origin_of(url: str) -> str:
    """Return scheme, host and port of a registered URL, the port always said: to whom a foreign token belongs."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or PORTS[parts.scheme]}"
