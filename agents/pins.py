"""Which tools of an MCP server are on: those whose definition is the one that somebody approved.

    seen and pinned alike       on
    seen, never pinned          new: off
    seen otherwise than pinned  changed: off
    pinned, no longer seen      gone: off

The tools of a first listing are pinned by the registration, a managed server's with each deployment; after that only
`mcp_server:pin` turns anything on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any  # a tool's schemas are other people's JSON
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from agents import convergence
from agents.models import MCPServer, MCPTool
from powerloom.kernel.canonical import digest
from powerloom.kernel.errors import Stale

DEFINED = ("name", "description", "input_schema", "output_schema")
WRITTEN = ["definition", "sha256", "pinned", "pinned_sha256", "seen_at", "pinned_at"]


class PinState(StrEnum):
    """How a tool stands."""

    ON = "on"
    NEW = "new"
    CHANGED = "changed"
    GONE = "gone"


def state_of(tool: MCPTool) -> PinState:
    """Return how a tool stands."""
    if not tool.sha256:
        return PinState.GONE
    if not tool.pinned_sha256:
        return PinState.NEW
    return PinState.ON if tool.is_on else PinState.CHANGED


def definition_hash(tool: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything about a tool that an agent is told; what is absent counts as null."""
    return digest({name: tool.get(name) for name in DEFINED})


@transaction.atomic(savepoint=False)
def record_tools(server: MCPServer, tools: Iterable[Mapping[str, Any]], *, pin: bool) -> bool:
    """Keep what a listing answered, and with `pin` approve it as it is. Returns whether what is on has changed.

    Agents that have the server are marked stale when it has.
    """
    MCPServer.objects.select_for_update().get(pk=server.pk)
    before = {tool.name: tool for tool in server.tools.all()}
    was_on = _on(before.values())
    listed = {str(tool["name"]): {name: tool.get(name) for name in DEFINED} for tool in tools}
    now = timezone.now()
    for name, definition in listed.items():
        tool = before.setdefault(name, MCPTool(server=server, name=name))
        tool.definition, tool.sha256, tool.seen_at = definition, digest(definition), now
    for name in before.keys() - listed.keys():
        before[name].definition, before[name].sha256 = None, ""
    if pin:
        for tool in before.values():
            _pin(tool)
    _write(before.values())
    return _tell(server, was_on, before.values())


def pin_tools(server: MCPServer, expected: Mapping[str, str]) -> bool:
    """Approve these tools, by name, as the caller saw them: by hash, "" for one that is gone and shall be forgotten.

    Returns whether what is on has changed. Raises `Stale` when one is no longer so. The server's row is locked.
    """
    tools = {tool.name: tool for tool in server.tools.all()}
    was_on = _on(tools.values())
    for name, sha256 in expected.items():
        tool = tools.get(name)
        if tool is None or tool.sha256 != sha256:
            raise Stale(f"The tool {name} of {server.name} is no longer as you saw it. Look again, then pin.")
        _pin(tool)
    _write([tools[name] for name in expected])
    return _tell(server, was_on, tools.values())


def first_listings(listed: Iterable[tuple[MCPServer, Iterable[Mapping[str, Any]]]]) -> None:
    """Keep and approve what the first listings of new servers answered, which no agent has yet; one query."""
    rows: dict[tuple[UUID, str], MCPTool] = {}
    now = timezone.now()
    for server, tools in listed:
        for tool in tools:
            row = MCPTool(server=server, name=str(tool["name"]), seen_at=now)
            row.definition = {name: tool.get(name) for name in DEFINED}
            row.sha256 = digest(row.definition)
            _pin(row)
            rows[server.pk, row.name] = row
    _write(rows.values())


def forget_listings(servers: Iterable[MCPServer]) -> None:
    """What was seen says nothing any more, because the servers are others: everything is off until it is seen again."""
    tools = list(MCPTool.objects.filter(server__in=list(servers)).select_related("server"))
    were_on = {tool.server for tool in tools if tool.is_on}
    for tool in tools:
        tool.definition, tool.sha256 = None, ""
    _write(tools)
    convergence.servers_changed(were_on, urgent=True)


def _pin(tool: MCPTool) -> None:
    if tool.sha256 != tool.pinned_sha256:
        tool.pinned, tool.pinned_sha256, tool.pinned_at = tool.definition, tool.sha256, timezone.now()


def _write(tools: Iterable[MCPTool]) -> None:
    rows = list(tools)
    # A tool that is neither there nor approved is nothing; so a server cannot fill the table with passing names.
    nothing = [row.pk for row in rows if not row.sha256 and not row.pinned_sha256]
    if nothing:
        MCPTool.objects.filter(pk__in=nothing).delete()
    kept = [row for row in rows if row.sha256 or row.pinned_sha256]
    MCPTool.objects.bulk_create([row for row in kept if row._state.adding])
    MCPTool.objects.bulk_update([row for row in kept if not row._state.adding], WRITTEN)


def _tell(server: MCPServer, was_on: set[tuple[str, str]], tools: Iterable[MCPTool]) -> bool:
    is_on = _on(tools)
    if is_on == was_on:
        return False
    convergence.servers_changed([server], urgent=not was_on <= is_on)
    return True


def _on(tools: Iterable[MCPTool]) -> set[tuple[str, str]]:
    return {(tool.name, tool.sha256) for tool in tools if tool.is_on}
