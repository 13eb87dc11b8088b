"""Console views of MCP servers: registrations and the deployments behind them in one list, one server with its tabs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # template context
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.places import reason_against_new
from accounts.reasons import Reason, reasons_against
from agents import queries, standing, stops
from agents.actions import ON_DEPLOYMENT, ON_SERVER, Action
from agents.endpoints import endpoint_of
from agents.mcp.catalog import KINDS, TEMPLATES
from agents.models import DeploymentStatus, MCPDeployment, MCPServer
from agents.pins import PinState, state_of
from agents.queries.credentials import credentials_visible_to
from agents.queries.deployments import (
    call_counts,
    calls_of,
    deployment_for_read,
    deployments_visible_to,
    named_principals,
    visible_agents,
    visible_session_ids,
)
from agents.queries.lists import FOREIGN, server_users, servers_matching
from agents.queries.servers import server_for_read, tool_counts, tools_of, users_of_server
from agents.views.deployments import config_deed, policy_deed
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of
from powerloom.web.filters import Filters
from powerloom.web.lines import applying, curl, place_of
from powerloom.web.lists import page_of
from powerloom.web.pages import fragment, page, signed_in
from powerloom.web.tabs import FIRST, Tab, elsewhere, tabbed

ROWS = 50


@dataclass(frozen=True)
class Line:
    """One server in the list. `deployment` is there where the viewer may read it."""

    server: MCPServer
    deployment: MCPDeployment | None
    every: int
    on: int
    agents: int

    @property
    def off(self) -> int:
        return self.every - self.on


@signed_in
@require_GET
def server_list(request: HttpRequest) -> HttpResponse:
    """The servers that one may see: those that somebody must look at first, then the others, newest first."""
    actor = actor_of(request)
    chosen = Filters(request, q="Name or URL", kind="Kind", problems="Only problems", ou="OU")
    terms = {"text": chosen["q"], "under": chosen["ou"], "kind": chosen["kind"]}
    only = bool(chosen["problems"])
    found = page_of(request, servers_matching(actor, **terms, problems=only), size=ROWS)
    first = not only and not found.cursor
    troubled = list(servers_matching(actor, **terms, problems=True).order_by("-pk")[: ROWS + 1]) if first else []
    lines = _lines(actor, [*troubled[:ROWS], *found.rows])
    return page(
        request,
        "agents/servers/list.html",
        "agents/servers/_list.html",
        page=found,
        troubled=lines[: len(troubled[:ROWS])],
        more_troubled=len(troubled) > ROWS,
        lines=lines[len(troubled[:ROWS]) :],
        only=only,
        chosen=chosen,
        chips=chosen.chips(kind=_kind_word, problems=lambda _: "yes"),
        kept=chosen.kept(by_form=frozenset({"q", "kind"})),
        kinds=[(kind, _kind_word(kind)) for kind in (FOREIGN, *(kind for kind in KINDS if kind in TEMPLATES))],
        bare=request.path,
        new_refusal=reason_against_new(request, Action.MCP_SERVER_CREATE),
        line=applying("MCPDeployment", {"name": "docs", "ou_path": place_of(request)}, {"template_kind": "echo"}),
    )


@signed_in
@require_GET
def server_detail(request: HttpRequest, server_id: UUID) -> HttpResponse:
    """One server and the tab that `?tab=` names."""
    server = server_for_read(actor_of(request), server_id)
    head = _head(request, server)
    tabs = TABS if head["deployment"] else {key: tab for key, tab in TABS.items() if key not in OF_DEPLOYMENTS}
    address = reverse("agents:server", args=[server.id])
    return tabbed(request, tabs, server, "agents/servers/server.html", head, address)


@signed_in
@require_GET
def server_state(request: HttpRequest, server_id: UUID) -> HttpResponse:
    """The badges of one server, for the page that keeps them fresh."""
    server = server_for_read(actor_of(request), server_id)
    return fragment(request, "agents/servers/_state.html", **_head(request, server))


@signed_in
@require_GET
def deployment_detail(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    """A deployment is shown on the page of its registration."""
    deployment = deployment_for_read(actor_of(request), deployment_id)
    return redirect("agents:server", server_id=deployment.registration.id)


def _kind_word(kind: str) -> str:
    return TEMPLATES[kind].title if kind in TEMPLATES else kind.capitalize()


def _lines(actor: Actor, servers: list[MCPServer]) -> list[Line]:
    ids = [server.id for server in servers]
    deployed = [server.deployment_id for server in servers if server.deployment_id]
    seen = deployments_visible_to(actor).filter(pk__in=deployed).in_bulk() if deployed else {}
    counts, users = tool_counts(ids), server_users(actor, ids)
    return [
        Line(
            server,
            seen.get(server.deployment_id) if server.deployment_id else None,
            *counts.get(server.id, (0, 0)),
            users.get(server.id, 0),
        )
        for server in servers
    ]


def deployment_of(actor: Actor, server: MCPServer) -> MCPDeployment | None:
    """Return the deployment behind a server, where there is one that the actor may read."""
    if server.deployment_id is None:
        return None
    return queries.deployments_visible_to(actor).filter(pk=server.deployment_id).first()


def _head(request: HttpRequest, server: MCPServer) -> dict[str, Any]:
    actor = actor_of(request)
    against = reasons_against(actor, server.target(), [*ON_SERVER, *ON_DEPLOYMENT])
    refusals: dict[str, Reason] = {action.replace(":", "_"): reason for action, reason in against.items()}
    deployment = deployment_of(actor, server)
    if deployment and deployment.status != DeploymentStatus.FAILED and not refusals["mcp_deployment_retry"]:
        refusals["mcp_deployment_retry"] = Reason("Only a failed deployment can be retried.")
    every, on = tool_counts([server.id]).get(server.id, (0, 0))
    return {
        "server": server,
        "deployment": deployment,
        "refusals": refusals,
        "every": every,
        "on": on,
        "off": every - on,
    }


def _overview(request: HttpRequest, server: MCPServer) -> dict[str, Any]:
    deployment = deployment_of(actor_of(request), server)
    every, on = tool_counts([server.id]).get(server.id, (0, 0))
    why = stops.of_deployment(deployment) if deployment else stops.of_server(server, flagged=every - on)
    return {
        "url": endpoint_of(server),
        "why": why,
        "made_from": TEMPLATES.get(deployment.template_kind) if deployment else None,
        "counts": call_counts(deployment) if deployment else None,
    }


def _tools(request: HttpRequest, server: MCPServer) -> dict[str, Any]:
    tools = [(tool, state_of(tool), tool.definition or tool.pinned or {}) for tool in tools_of(server)]
    flagged = [tool for tool, state, _ in tools if state != PinState.ON]
    return {"tools": tools, "flagged": flagged}


def _policy(request: HttpRequest, server: MCPServer) -> dict[str, Any]:
    deployment = deployment_of(actor_of(request), server)
    deed = policy_deed(request, server, deployment) if deployment else None
    return {"deed": deed, "form": deed.form if deed else None}


def _config(request: HttpRequest, server: MCPServer) -> dict[str, Any]:
    deployment = deployment_of(actor_of(request), server)
    deed = config_deed(request, server, deployment) if deployment else None
    return {"deed": deed, "form": deed.form if deed else None}


def _calls(request: HttpRequest, server: MCPServer) -> dict[str, Any]:
    actor = actor_of(request)
    deployment = deployment_of(actor, server)
    assert deployment is not None, "the tab is there for deployments that the viewer may read"
    chosen = Filters(request, outcome="Decision", tool="Tool")
    rows = calls_of(deployment).filter(**{name: chosen[name] for name in ("outcome", "tool") if chosen[name]})
    found = page_of(request, rows, size=ROWS)
    agents = visible_agents(actor, [call.agent_id for call in found.rows])
    people = named_principals(actor, [call.tried_by_id for call in found.rows])
    sessions = visible_session_ids(actor, [call.session_id for call in found.rows])
    return {
        "page": found,
        "calls": [
            (call, agents.get(call.agent_id), call.session_id in sessions, people.get(call.tried_by_id, ""))
            for call in found.rows
        ],
        "chips": chosen.chips(),
        "chosen": chosen,
        "line": curl(request, f"/mcp-deployments/{deployment.id}/calls"),
    }


def _agents(request: HttpRequest, server: MCPServer) -> dict[str, Any]:
    actor = actor_of(request)
    rows = queries.agents_visible_to(actor).filter(pk__in=users_of_server(server).values("pk"))
    found = page_of(request, rows, size=ROWS)
    states = standing.of(found.rows)
    return {"page": found, "lines": [(agent, states[agent.id]) for agent in found.rows]}


def _credentials(request: HttpRequest, server: MCPServer) -> dict[str, Any]:
    rows = credentials_visible_to(actor_of(request)).filter(server=server)
    return {"page": page_of(request, rows, size=ROWS)}


OF_DEPLOYMENTS = {"policy", "config", "calls"}
TABS: dict[str, Tab[MCPServer]] = {
    FIRST: Tab("Overview", "agents/servers/_overview.html", _overview, "agents/servers/_overview_facts.html"),
    "tools": Tab("Tools", "agents/servers/_tools.html", _tools),
    "policy": Tab("Policy", "agents/servers/_policy.html", _policy),
    "config": Tab("Config", "agents/servers/_config.html", _config),
    "calls": Tab("Calls", "agents/servers/_calls.html", _calls),
    "agents": Tab("Agents", "agents/servers/_agents.html", _agents),
    "credentials": Tab("Credentials", "agents/servers/_credentials.html", _credentials),
    "audit": Tab("Audit", "agents/servers/_audit.html", elsewhere),
}
