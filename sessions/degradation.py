"""Silent degradation: a session that looks fine but never used the tools it was given. Pure.

When a credential is missing, expired or refused, CMA lets the agent go on with its basic tools. So: ended normally,
at least `ENOUGH_EVENTS` events (a trivial prompt needs no tools), MCP servers attached, and not one MCP tool call.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any  # payloads of events

ENOUGH_EVENTS = 10
NORMAL_ENDS = frozenset({"idle_end_turn", "terminated"})

CAUSES = {
    "mcp_authentication_failed_error": ("credential_refused", "The server refused the credential."),
    "credential_host_unreachable_error": ("credential_unreachable", "The credential could not be renewed."),
    "mcp_connection_failed_error": ("server_unreachable", "The runtime could not reach the server."),
}
NO_TRACE = (
    "no_error_seen",
    "The runtime reported no MCP error. Look at the agent's credentials: a missing or unsynced one leaves no trace.",
)


def is_degraded(status: str, *, events: int, mcp_servers: int, mcp_tool_uses: int) -> bool:
    """Tell whether a session that ended this way went without the tools it had."""
    return status in NORMAL_ENDS and events >= ENOUGH_EVENTS and mcp_servers > 0 and mcp_tool_uses == 0


def diagnosis(errors: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Say why, from the payloads of the session's `session.error` events: a cause a server, else that none was
    reported.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for payload in errors:
        error = payload.get("error") or {}
        if error.get("type") in CAUSES:
            cause, words = CAUSES[error["type"]]
            server = error.get("mcp_server_name") or ""
            found[(cause, server)] = {"cause": cause, "server": server, "words": words}
    return {"causes": list(found.values()) or [{"cause": NO_TRACE[0], "server": "", "words": NO_TRACE[1]}]}
