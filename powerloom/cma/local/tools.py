"""The tools of the MCP servers attached to an agent: found and called for real, with the vault's bearer.

A server that cannot be reached, or refuses us, becomes a `session.error` and the turn goes on with the basic tools, as
on the hosted service.
"""

import asyncio
from importlib import import_module
from typing import Any

from powerloom.cma.local.model import SCRIPTED, McpTool
from powerloom.cma.local.store import Store
from powerloom.cma.types import JSON


async def discover(session: JSON, store: Store) -> tuple[list[McpTool], list[JSON]]:
    """The MCP tools a session may use now, and an error for each server that gave none."""
    toolsets = [toolset for toolset in session["agent"]["tools"] if toolset["type"] == "mcp_toolset"]
    if not toolsets:
        return [], []
    calls = await _mcp_calls()
    answers = await asyncio.gather(*(_ask(calls, session, store, toolset) for toolset in toolsets))
    tools = [tool for found, _ in answers for tool in found]
    return tools, [trouble for _, trouble in answers if trouble]


async def call(session: JSON, store: Store, server: str, name: str, given: JSON) -> tuple[list[JSON], bool]:
    """The content a tool answered, and whether it was an error."""
    calls = await _mcp_calls()
    url = _url(session, server)
    try:
        content, failed = await calls.call_tool(url, bearer(session, store, url), name, given)
    except calls.McpFailed as error:
        return [{"type": "text", "text": f"{SCRIPTED} {server}.{name} failed: {error}"}], True
    return content, failed


def bearer(session: JSON, store: Store, url: str) -> str | None:
    """The token for a server, from the first of the session's vaults that has one."""
    for vault_id in session["vault_ids"]:
        for credential in store.children("credential", vault_id):
            if credential["auth"].get("mcp_server_url") == url:
                secret = store.secret(credential["id"]) or {}
                token: str | None = secret.get("token") or secret.get("access_token")
                return token
    return None


async def _mcp_calls() -> Any:  # a module
    # On a thread: the first import takes about a second, and other sessions go on meanwhile.
    return await asyncio.to_thread(import_module, "powerloom.cma.local.mcp_calls")


async def _ask(calls: Any, session: JSON, store: Store, toolset: JSON) -> tuple[list[McpTool], JSON | None]:
    server = toolset["mcp_server_name"]
    url = _url(session, server)
    token = bearer(session, store, url)
    try:
        offered = await calls.list_tools(url, token)
    except calls.McpFailed as error:
        return [], _trouble(server, str(error), refused=error.refused, had_token=token is not None)
    return allowed(toolset, offered), None


def allowed(toolset: JSON, offered: list[tuple[str, JSON]]) -> list[McpTool]:
    """What of a server's offer is switched on, with the policy for each."""
    default: JSON = toolset["default_config"]
    own: dict[str, JSON] = {config["name"]: config for config in toolset["configs"]}
    found = []
    for name, schema in offered:
        config = own.get(name, default)
        if config["enabled"]:
            policy = config["permission_policy"]["type"]
            found.append(McpTool(toolset["mcp_server_name"], name, policy, schema))
    return found


def _trouble(server: str, why: str, *, refused: bool, had_token: bool) -> JSON:
    kind = "mcp_authentication_failed_error" if refused else "mcp_connection_failed_error"
    if refused and not had_token:
        why = "no vault of this session has a credential for it"
    return {
        "type": kind,
        "mcp_server_name": server,
        "message": f"MCP server {server}: {why}",
        "retry_status": {"type": "retrying"},  # "exhausted" would say that the turn is dead; the next one tries again
    }


def _url(session: JSON, name: str) -> str:
    return next(str(server["url"]) for server in session["agent"]["mcp_servers"] if server["name"] == name)
