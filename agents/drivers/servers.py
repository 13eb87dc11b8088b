"""The MCP servers of an agent, in CMA's words: each by its fixed name and its address of now, and its tools one by one.

Everything is said explicitly. A tool is on when the server has it as it was pinned and the attachment does not switch
it off; what is not named is off, so a tool that a server adds or changes is not on before somebody here said so. Calls
are `always_allow` unless the attachment says `always_ask`: CMA's own default for MCP tools is to ask, which would stop
every unattended agent at its first call.

An agent waits for a managed server that has no tools yet, because its deployment has never run, and for a fleet that
the runtime could not reach. It does not wait for a foreign server of which no tool is pinned: it goes without those
tools, and its page says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from agents.endpoints import endpoint_of, fleet_fault
from agents.models import MCPServer
from agents.queries.server_attachments import tools_on
from agents.spec import AgentSpec, AttachedServer
from powerloom.cma.types import JSON
from powerloom.reconcile.driver import Need

TOOLSET = "mcp_toolset"
UNNAMED = {"enabled": False, "permission": "always_ask"}


@dataclass(frozen=True)
class Reach:
    """A server as its agents are told of it. `tools` are those that are on; `missing` is what an agent that has it
    waits for, if anything.
    """

    name: str
    url: str
    tools: Sequence[str] = ()
    missing: str = ""


def reaches(specs: Iterable[AgentSpec]) -> dict[UUID, Reach]:
    """Return the live servers that these specs name; two queries."""
    ids = {id_ for spec in specs for id_ in spec.server_ids()}
    if not ids:
        return {}
    servers = MCPServer.objects.filter(pk__in=ids, archived_at__isnull=True).select_related("deployment")
    tools = tools_on(ids)
    return {server.pk: _reach(server, tools.get(server.pk, ())) for server in servers}


def needs(spec: AgentSpec, known: Mapping[UUID, Reach]) -> list[Need]:
    """Return what an agent waits for before it can be told of its servers. Pure."""
    waits = [known[id_].missing for id_ in spec.server_ids() if id_ in known]
    return [Need("mcp_server", None, what) for what in waits if what]


def document(spec: AgentSpec, known: Mapping[UUID, Reach]) -> JSON:
    """Return the spec's servers as they are hashed, by name; one that is archived is none. Pure."""
    attached = [(known[one.mcp_server_registration_id], one) for one in spec.mcp_servers if _is_known(one, known)]
    return {reach.name: {"url": reach.url, "tools": _tools(reach, one)} for reach, one in attached}


def bodies(servers: JSON) -> list[JSON]:
    """Return the servers as CMA is sent them."""
    return [{"type": "url", "name": name, "url": server["url"]} for name, server in sorted(servers.items())]


def toolsets(servers: JSON) -> list[JSON]:
    """Return what CMA is sent of their tools. It wants one for every server, also where no tool is on."""
    return [
        {
            "type": TOOLSET,
            "mcp_server_name": name,
            "default_config": _switch(server["tools"]["unnamed"]),
            "configs": [{"name": tool, **_switch(how)} for tool, how in sorted(server["tools"]["named"].items())],
        }
        for name, server in sorted(servers.items())
    ]


def seen(servers: Sequence[JSON], tools: Sequence[JSON]) -> tuple[JSON, list[JSON]]:
    """Return CMA's servers in our names, and those toolsets of its answer that we would never have sent."""
    found: JSON = {server["name"]: {"url": server["url"], "tools": None} for server in servers}
    others = []
    for tool in tools:
        server = found.get(tool["mcp_server_name"])
        if server is None or server["tools"] is not None:
            others.append(tool)
        else:
            named = {config["name"]: _seen_switch(config) for config in tool["configs"]}
            server["tools"] = {"unnamed": _seen_switch(tool["default_config"]), "named": named}
    return found, others


def _reach(server: MCPServer, tools: Sequence[str]) -> Reach:
    return Reach(server.server_name, endpoint_of(server), tools, _missing(server, tools))


def _missing(server: MCPServer, tools: Sequence[str]) -> str:
    if server.deployment is None:
        return ""
    if fault := fleet_fault(server.organization_id):
        return f"MCP server {server.name}: {fault}"
    if tools:
        return ""
    why = f" ({server.deployment.status_reason})" if server.deployment.status_reason else ""
    return f"MCP server {server.name}: its deployment is {server.deployment.status}{why}"


def _is_known(server: AttachedServer, known: Mapping[UUID, Reach]) -> bool:
    return server.mcp_server_registration_id in known


def _tools(reach: Reach, attached: AttachedServer) -> JSON:
    return {
        "unnamed": UNNAMED,
        "named": {name: tool.model_dump() for name, tool in attached.applied_to(reach.tools).items()},
    }


def _switch(tool: JSON) -> JSON:
    return {"enabled": tool["enabled"], "permission_policy": {"type": tool["permission"]}}


def _seen_switch(config: JSON) -> JSON:
    return {"enabled": config["enabled"], "permission": config["permission_policy"]["type"]}
