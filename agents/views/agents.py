"""Console views of agents: the list, and one agent with its tabs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # template context
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET

from accounts.law import shown
from accounts.places import reason_against_new
from accounts.reasons import Reason, reasons_against, reasons_by_target
from agents import connections, queries, standing, withholding
from agents.actions import ON_AGENT, Action
from agents.drivers.agents import desired_document
from agents.kinds import SyncKind
from agents.models import Agent, AgentVersion
from agents.queries.agents import attachments_of, versions_of
from agents.queries.credentials import credentials_visible_to
from agents.queries.lists import agents_matching, sync_states, versions_before
from agents.queries.server_attachments import server_attachments_of
from agents.standing import Standing
from agents.views.attachments import attaching_server, attaching_skill
from powerloom.kernel.refs import Actor
from powerloom.reconcile.queries import status_of
from powerloom.reconcile.status import SyncStatus
from powerloom.web.answers import actor_of
from powerloom.web.filters import Filters
from powerloom.web.lines import applying, place_of
from powerloom.web.lists import page_of
from powerloom.web.pages import fragment, page, signed_in
from powerloom.web.tabs import FIRST, Tab, elsewhere, tabbed

ROWS = 50
VERSIONS = 20
MOST_COMPARED = 200  # versions that a choice offers


@dataclass(frozen=True)
class Line:
    """One agent in the list."""

    agent: Agent
    standing: Standing
    model: str
    against_invoking: Reason


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
        lines=_lines(actor_of(request), found.rows),
        chosen=chosen,
        chips=chosen.chips(sync=str.capitalize),
        kept=chosen.kept(by_form=frozenset({"q", "sync"})),
        sync_states=[(word.value, word.value.capitalize()) for word in SyncStatus],
        bare=request.path,
        new_refusal=reason_against_new(request, Action.AGENT_CREATE),
        line=_first_line(request),
    )


@signed_in
@require_GET
def agent_detail(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """One agent: where it stands, and the tab that `?tab=` names."""
    agent = queries.agent_for_read(actor_of(request), agent_id)
    address = reverse("agents:detail", args=[agent.id])
    return tabbed(request, TABS, agent, "agents/agent.html", _head(request, agent), address)


@signed_in
@require_GET
def agent_state(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """The badges of one agent, or with `?part=actions` what one may do with it, for the page that keeps them fresh."""
    agent = queries.agent_for_read(actor_of(request), agent_id)
    if request.GET.get("part") == "actions":
        return fragment(request, "agents/_actions.html", **_head(request, agent))
    return fragment(request, "agents/_state.html", standing=standing.of([agent])[agent.id])


def _lines(actor: Actor, agents: list[Agent]) -> list[Line]:
    states, latest = standing.of(agents), queries.latest_versions(agents)
    against = reasons_by_target(actor, (agent.target() for agent in agents), Action.AGENT_INVOKE)
    return [
        Line(agent, now, _model(latest[agent.id]), against[agent.id] or _not_live(now))
        for agent in agents
        for now in [states[agent.id]]
    ]


def _not_live(now: Standing) -> Reason:
    return Reason("" if now.live else f"Not live yet: {now.why}.")


def _head(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    now = standing.of([agent])[agent.id]
    against = reasons_against(actor_of(request), agent.target(), ON_AGENT)
    refusals = {action.partition(":")[2]: reason for action, reason in against.items()}
    refusals["invoke"] = refusals["invoke"] or _not_live(now)
    return {"agent": agent, "standing": now, "refusals": refusals}


def _overview(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    version = queries.latest_versions([agent])[agent.id]
    state = sync_states(SyncKind.AGENT, [agent.id]).get(agent.id)
    return {"spec": version.spec, "model": _model(version), "remote_id": state.remote_id if state else ""}


def _prompt(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    return {"spec": queries.latest_versions([agent])[agent.id].spec}


def _skills(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    attached = attachments_of(agent)
    states = sync_states(SyncKind.SKILL, [one.skill_id for one in attached if one.skill_id])
    withheld = {one["skill_id"]: one["why"] for one in withholding.reasons(agent, attached)}
    rows = [
        (
            one,
            standing.word_of(states.get(one.skill_id)) if one.skill_id else "",
            withheld.get(str(one.skill_id), ""),
        )
        for one in attached
    ]
    deed = attaching_skill(request, agent)
    return {
        "attachments": rows,
        "deed": deed,
        "form": deed.form,
        "line": _attaching(agent, "AgentSkill", "skill_path", "python-lint"),
    }


def _servers(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    deed = attaching_server(request, agent)
    return {
        "connections": connections.lent_to(agent, server_attachments_of(agent)),
        "deed": deed,
        "form": deed.form,
        "line": _attaching(agent, "AgentMCPServer", "mcp_registration_path", "docs"),
    }


def _credentials(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    actor = actor_of(request)
    attached = [row.server for row in server_attachments_of(agent)]
    held = {row.server_id: row for row in credentials_visible_to(actor).filter(agent=agent)}
    servers = {server.id: server for server in (*attached, *(row.server for row in held.values()))}
    stands = connections.of(agent.id, servers)
    against = reasons_against(actor, agent.target(), [Action.CREDENTIAL_CREATE, Action.CREDENTIAL_READ])
    return {
        "lines": [(server, held.get(id_), stands[id_]) for id_, server in servers.items()],
        "create_refusal": against[Action.CREDENTIAL_CREATE],
        "read_refusal": against[Action.CREDENTIAL_READ],
    }


def _versions(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    found = page_of(request, versions_of(agent), size=VERSIONS)
    before = {version.number: version.spec for version in versions_before(found.rows)}
    steps = [(version, before.get(version.number - 1)) for version in found.rows]
    numbers = list(versions_of(agent).order_by("-number").values_list("number", flat=True)[:MOST_COMPARED])
    return {"steps": steps, "page": found, "numbers": numbers, "compared": _compared(request, agent)}


def _compared(request: HttpRequest, agent: Agent) -> dict[str, Any] | None:
    """Return the two versions that `?a=` and `?b=` name with their specs; None when they name none."""
    asked = [request.GET.get(name, "") for name in ("a", "b")]
    if not all(text.isascii() and text.isdigit() and len(text) < 10 for text in asked):
        return None
    specs = dict(versions_of(agent).filter(number__in=map(int, asked)).values_list("number", "spec"))
    a, b = (int(text) for text in asked)
    return {"a": a, "b": b, "before": specs[a], "after": specs[b]} if {a, b} <= specs.keys() else None


def _sync(request: HttpRequest, agent: Agent) -> dict[str, Any]:
    state = sync_states(SyncKind.AGENT, [agent.id]).get(agent.id)
    report = status_of(SyncKind.AGENT, [agent.id]).get(agent.id)
    desired = desired_document(state) if state else None
    return {"state": state, "report": report, "desired": desired, "actual": state.actual if state else None}


def _model(version: AgentVersion) -> str:
    model: Any = version.spec["model"]  # a string, or settings with an id, as it was posted
    return str(model["id"]) if isinstance(model, dict) else str(model)


def _first_line(request: HttpRequest) -> str:
    spec = {
        "model": "claude-sonnet-4-6",
        "system_prompt": "Review what changes.",
        "owner_principal_ref": actor_of(request).ref,
    }
    return applying("Agent", {"name": "code-reviewer", "ou_path": place_of(request)}, spec)


def _attaching(agent: Agent, kind: str, end: str, name: str) -> str:
    place = shown(agent.ou.path)
    return applying(kind, {"agent_path": f"{place}/{agent.name}", end: f"{place}/{name}"})


TABS: dict[str, Tab[Agent]] = {
    FIRST: Tab("Overview", "agents/_overview.html", _overview, "agents/_notice.html"),
    "prompt": Tab("Prompt and model", "agents/_prompt.html", _prompt),
    "skills": Tab("Skills", "agents/_skills.html", _skills),
    "servers": Tab("MCP", "agents/_servers.html", _servers),
    "credentials": Tab("Credentials", "agents/_credentials.html", _credentials),
    "versions": Tab("Versions", "agents/_versions.html", _versions),
    "sessions": Tab("Sessions", "agents/_sessions.html", elsewhere),
    "sync": Tab("Sync", "agents/_sync.html", _sync, "agents/_sync_facts.html"),
    "audit": Tab("Audit", "agents/_audit.html", elsewhere),
}
