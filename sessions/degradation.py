"""Silent degradation: a session that looks fine but never used the tools it was given. Pure.

When a credential is missing, expired or refused, CMA lets the agent go on with its basic tools. So: ended normally,
at least `ENOUGH_EVENTS` events (a trivial prompt needs no tools), MCP servers attached, and not one MCP tool call.

Why is told from both sides: what we know of the agent's credential for each server, and what the runtime reported. What
we know comes first, because a missing credential and a refused one look alike to the runtime.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any  # payloads of events
from uuid import UUID

ENOUGH_EVENTS = 10
NORMAL_ENDS = frozenset({"idle_end_turn", "terminated"})


class Standing(StrEnum):
    """How an agent stood with one of its servers when its session ended."""

    MISSING = "credential_missing"
    VOIDED = "credential_voided"
    EXPIRED = "credential_expired"
    UNSYNCED = "credential_unsynced"
    NO_TOOLS = "no_tools_on"
    WITHHELD = "right_lost"
    DETACHED = "detached"
    GOOD = "good"


@dataclass(frozen=True)
class Server:
    """An attached server as we know it: its name towards the runtime, the agent's credential for it, and how that
    stands. `why` is the reconciler's reason where it has one.
    """

    name: str
    standing: Standing
    credential_id: UUID | None = None
    why: str = ""


@dataclass(frozen=True)
class Cause:
    """Why one server's tools were not used, and what mends it. `server` is empty where no single one is to blame."""

    cause: str
    server: str
    words: str
    fix: str
    credential_id: str | None = None


KNOWN: dict[Standing, tuple[str, str]] = {
    Standing.MISSING: (
        "The agent has no credential for {server}.",
        "Create one for this agent and server; attaching the server again does it too.",
    ),
    Standing.VOIDED: (
        "The agent's token for {server} was voided, because the server's address moved to another origin.",
        "Rotate the credential and give the token of the new address.",
    ),
    Standing.EXPIRED: ("The agent's credential for {server} has expired.", "Rotate the credential."),
    Standing.UNSYNCED: (
        "The agent's credential for {server} is not in its vault on the runtime{why}.",
        "See the credential's sync status; reset its sync once what it names is mended.",
    ),
    Standing.NO_TOOLS: (
        "None of the tools of {server} is on for this agent.",
        "Pin the server's tools as they are now, or switch them on in the attachment.",
    ),
    Standing.WITHHELD: (
        "The agent, or whom it acts for, may no longer use {server}.",
        "Have mcp_server:use granted to the agent's owner, or to the agent itself if it is a service agent.",
    ),
    Standing.DETACHED: ("{server} was detached from the agent meanwhile.", "Attach it again, if the agent needs it."),
}
REPORTED = {
    "mcp_authentication_failed_error": (
        "credential_refused",
        "{server} refused the agent's credential.",
        "Rotate the credential; for a foreign server give the token that it accepts.",
    ),
    "credential_host_unreachable_error": (
        "credential_unreachable",
        "The agent's credential for {server} could not be renewed.",
        "Look whether the host that renews it answers, then rotate the credential.",
    ),
    "mcp_connection_failed_error": (
        "server_unreachable",
        "The runtime could not reach {server}.",
        "Probe the server, and look whether the runtime can reach its address.",
    ),
}
NO_TRACE = Cause(
    cause="no_error_seen",
    server="",
    words="The agent's credentials are in order and the runtime reported no error: it had the tools and used none.",
    fix="Say in the system prompt or the message when the tools are to be used.",
)


def is_degraded(status: str, *, events: int, mcp_servers: int, mcp_tool_uses: int) -> bool:
    """Tell whether a session that ended this way went without the tools it had."""
    return status in NORMAL_ENDS and events >= ENOUGH_EVENTS and mcp_servers > 0 and mcp_tool_uses == 0


def diagnosis(servers: Sequence[Server], errors: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Say why, from what we know of each attached server and from the payloads of the session's `session.error` events:
    at most one cause a server.
    """
    known = {server.name: server for server in servers}
    found = {server.name: _known(server) for server in servers if server.standing is not Standing.GOOD}
    for payload in errors:
        error = payload.get("error") or {}
        name = error.get("mcp_server_name") or ""
        if error.get("type") in REPORTED and name not in found:
            found[name] = _reported(error["type"], name, known.get(name))
    return {"causes": [asdict(cause) for cause in found.values() or [NO_TRACE]]}


def _known(server: Server) -> Cause:
    words, fix = KNOWN[server.standing]
    why = f" ({server.why})" if server.why else ""
    return Cause(server.standing, server.name, words.format(server=server.name, why=why), fix, _id(server))


def _reported(kind: str, name: str, server: Server | None) -> Cause:
    cause, words, fix = REPORTED[kind]
    return Cause(cause, name, words.format(server=name or "a server"), fix, _id(server))


def _id(server: Server | None) -> str | None:
    return str(server.credential_id) if server and server.credential_id else None
