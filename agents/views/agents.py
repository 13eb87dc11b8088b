"""Console views of agents: the list, one agent with its tabs, and the reset of a parked one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any  # template context
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from accounts.reasons import reasons_against
from agents import connections, queries, standing
from agents.actions import Action
from agents.commands import ResetAgentSync
from agents.kinds import SyncKind
from agents.models import Agent, AgentVersion
from agents.queries.agents import attachments_of, versions_of
from agents.queries.lists import agents_matching, sync_states, versions_before
from agents.queries.server_attachments import server_attachments_of
from agents.standing import Standing
from powerloom.commands.bus import submit
from powerloom.commands.registry import Done, Held
from powerloom.reconcile.status import SyncStatus
from powerloom.web.answers import actor_of
from powerloom.web.filters import Filters
from powerloom.web.lists import page_of
from powerloom.web.pages import fragment, held, page, said, signed_in

ROWS = 50
VERSIONS = 20
EXAMPLE = 'curl -H "Authorization: Bearer $TOKEN" {base}/api/agents -d \'{{"name": "code-reviewer", …}}\''


@dataclass(frozen=True)
class Line:
    """One agent in the list."""

    agent: Agent
    standing: Standing
    model: str


@signed_in
@require_GET
def agent_list(request: HttpRequest) -> HttpResponse:
    """The agents that one may see, newest first."""
    chosen = Filters(request, q="Name", sync="Sync", ou="OU")
    rows = agents_matching(actor_of(request), text=chosen["q"], under=chosen["ou"], sync=chosen["sync"])
    found = page_of(request, rows, size=ROWS)
    return page(
        request,
        "agents/list.html",
        "agents/_list.html",
        page=found,
        lines=_lines(found.rows),
        chosen=chosen,
        chips=chosen.chips(sync=str.capitalize),
        kept=chosen.kept(by_form=frozenset({"q", "sync"})),
        sync_states=[(word.value, word.value.capitalize()) for word in SyncStatus],
        bare=request.path,
        line=EXAMPLE.format(base=request.build_absolute_uri("/").rstrip("/")),
    )


@signed_in
@require_GET
def agent_detail(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """One agent: where it stands, and the tab that `?tab=` names."""
    agent = queries.agent_for_read(actor_of(request), agent_id)
    key = request.GET.get("tab", "")
    tab = TABS.get(key) or TABS[OVERVIEW]
    context = _head(request, agent) | tab.context(request, agent)
    if request.headers.get("HX-Request"):
        return fragment(request, tab.fragment or tab.template, **context)
    tabs = [_link(agent, name, one, current=one is tab) for name, one in TABS.items()]
    return fragment(request, "agents/agent.html", **context, tabs=tabs, tab_template=tab.template)


@signed_in
@require_GET
def agent_state(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """The badges of one agent, for the page that keeps them fresh."""
    agent = queries.agent_for_read(actor_of(request), agent_id)
    return fragment(request, "agents/_state.html", standing=standing.of([agent])[agent.id])


@signed_in
@require_POST
def reset_sync(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """Let the reconciler try a parked agent again."""
    match submit(ResetAgentSync(agent_id=agent_id), actor=actor_of(request)):
        case Done():
            return said(request, "Reset. The reconciler tries again now.")
        case Held(request=ask):
            return held(request, ask)


def _lines(agents: list[Agent]) -> list[Line]:
    states, latest = standing.of(agents), queries.latest_versions(agents)
    return [Line(agent, states[agent.id], _model(latest[agent.id])) for agent in agents]


def _head(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    now = standing.of([agent])[agent.id]
    target = agent.target()
    against = reasons_against(actor_of(request), target, [Action.AGENT_INVOKE, Action.AGENT_RESET_SYNC])
    not_live = "" if now.live else f"Not live yet: {now.why}."
    return {
        "agent": agent,
        "standing": now,
        "refusals": {
            "invoke": against[Action.AGENT_INVOKE] or not_live,
            "reset": against[Action.AGENT_RESET_SYNC],
        },
    }


def _overview(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    version = queries.latest_versions([agent])[agent.id]
    state = sync_states(SyncKind.AGENT, [agent.id]).get(agent.id)
    return {"spec": version.spec, "model": _model(version), "remote_id": state.remote_id if state else ""}


def _prompt(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    return {"spec": queries.latest_versions([agent])[agent.id].spec}


def _skills(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    attached = attachments_of(agent)
    states = sync_states(SyncKind.SKILL, [one.skill_id for one in attached if one.skill_id])
    rows = [(one, standing.word_of(states.get(one.skill_id)) if one.skill_id else "") for one in attached]
    return {"attachments": rows, "line": _line_for(request, agent, "skills", "skill_id")}


def _servers(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    line = _line_for(request, agent, "mcp-servers", "mcp_server_registration_id")
    return {"connections": connections.lent_to(agent, server_attachments_of(agent)), "line": line}


def _versions(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    found = page_of(request, versions_of(agent), size=VERSIONS)
    before = {version.number: version.spec for version in versions_before(found.rows)}
    steps = [(version, before.get(version.number - 1)) for version in found.rows]
    return {"steps": steps, "page": found}


def _sync(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    return {"state": sync_states(SyncKind.AGENT, [agent.id]).get(agent.id)}


def _elsewhere(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    """The tab is another app's part; the page fetches it from there."""
    return {}


def _model(version: AgentVersion) -> str:
    model: Any = version.spec["model"]  # a string, or settings with an id, as it was posted
    return str(model["id"]) if isinstance(model, dict) else str(model)


def _line_for(request: HttpRequest, agent: Agent, part: str, names: str) -> str:
    base = request.build_absolute_uri(f"/api/agents/{agent.id}/{part}")
    return f'curl -H "Authorization: Bearer $TOKEN" {base} -d \'{{"{names}": "…"}}\''


@dataclass(frozen=True)
class Tab:
    """One tab: its word, its template, what it reads, and the part of it that keeps itself fresh."""

    word: str
    template: str
    context: Callable[[HttpRequest, Agent], dict[str, Any]]
    fragment: str = ""


OVERVIEW = ""
TABS = {
    OVERVIEW: Tab("Overview", "agents/_overview.html", _overview, "agents/_notice.html"),
    "prompt": Tab("Prompt and model", "agents/_prompt.html", _prompt),
    "skills": Tab("Skills", "agents/_skills.html", _skills),
    "servers": Tab("MCP", "agents/_servers.html", _servers),
    "versions": Tab("Versions", "agents/_versions.html", _versions),
    "sessions": Tab("Sessions", "agents/_sessions.html", _elsewhere),
    "sync": Tab("Sync", "agents/_sync.html", _sync, "agents/_sync_facts.html"),
    "audit": Tab("Audit", "agents/_audit.html", _elsewhere),
}


def _link(agent: Agent, key: str, tab: Tab, *, current: bool) -> dict[str, Any]:
    address = reverse("agents:detail", args=[agent.id])
    return {"name": tab.word, "url": f"{address}?tab={key}" if key else address, "current": current}
