"""Trying a tool by hand: one real call on the way that agents' calls take.

A managed server is called at the fleet, with a token for this one person and deployment: its policy decides, and the
call stands in its log. A foreign server is called at its own address with the token that whoever tries gives; which is
kept nowhere.
"""

from __future__ import annotations

import asyncio
from typing import Any  # arguments are JSON
from urllib.parse import urlsplit
from uuid import UUID

from accounts.egress import way_of
from agents.endpoints import endpoint_of
from agents.fleet.probing import trying_token
from agents.handshakes import Called, HandshakeFailed, call
from agents.models import MCPServer
from agents.probing import waiting_place
from powerloom.kernel.errors import Conflict
from powerloom.web import egress
from powerloom.web.egress import Way

SECONDS = 65.0  # a little more than the fleet gives a call


def try_tool(server: MCPServer, tool: str, arguments: dict[str, Any], *, principal_id: UUID, token: str = "") -> Called:
    """Call a tool for somebody who waits and may use the server, and return what it answered; a denial by the
    deployment's policy is an answer too.

    Raises `Conflict` saying at which step it failed and what was answered, and `TooMany`.
    """
    bearer = trying_token(server.deployment_id, principal_id) if server.deployment_id else token
    with waiting_place():
        try:
            return asyncio.run(_called(endpoint_of(server), _way_to(server), bearer, tool, arguments))
        except HandshakeFailed as failed:
            raise Conflict(f"The call failed at {failed.step}: {failed.words}.", step=failed.step) from failed


async def _called(url: str, way: Way, bearer: str, tool: str, arguments: dict[str, Any]) -> Called:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    async with egress.client(way, headers=headers, timeout=SECONDS) as client:
        return await call(url, tool, arguments, client=client, seconds=SECONDS)


def _way_to(server: MCPServer) -> Way:
    if server.is_managed:
        # The fleet's address is the operator's own, so it may be this machine or a private one.
        return Way(private_hosts=(urlsplit(endpoint_of(server)).hostname or "",), loopback=True)
    return way_of(server.organization_id)
