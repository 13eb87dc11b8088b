"""What an agent may no longer use, a skill or an MCP server, is withheld: the attachment stays, what CMA has goes
without it.

Judged when access changed (`agents.access_watch`), for all agents of an organization at once; the drivers read the
outcome. The outcome and what it makes stale are written together, so a right that comes back before anything was
pushed ends as it began. Of a server the credential leaves the vault first, then the agent forgets the server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any  # rows of two models
from uuid import UUID

from django.db.models import F, Q
from django.utils import timezone

from agents import access_watch, convergence, lending
from agents.lending import LOANS, SERVERS, SKILLS, Loan
from agents.models import Agent, AgentMCPServer, AgentSkill, MCPServer, Skill
from agents.queries import acting_principal_id
from agents.spec import AgentSpec, AttachedSkill

WATCH = "skills"
ACTING = ("agent_kind", "owner_principal_id")  # what tells for whom an agent acts

Pair = tuple[UUID, UUID]
"""An agent and one of its skills or servers."""


def follow_access() -> int:
    """Judge the organizations whose access has changed. Returns how many."""
    return access_watch.follow(WATCH, judge)


def judge(organization_id: UUID) -> None:
    """Withhold what the organization's agents may no longer use, and give back what they may use again.

    Only agents for which something changed become stale. Runs in the caller's transaction.
    """
    lost, regained = set(), set()
    for loan in LOANS:
        gone, back = _judged(loan, organization_id)
        lost |= {agent for agent, _ in gone}
        regained |= {agent for agent, _ in back}
    convergence.agents_changed(lost, urgent=True)
    convergence.agents_changed(regained - lost)


def coming_back(organization_id: UUID) -> set[UUID]:
    """Return the live agents that get something back that is withheld, by the rights as they are in this transaction; a
    constant number of queries.
    """
    return {agent for loan in LOANS for agent, _ in _allowed_again(loan, organization_id)}


def of(agents: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """Return the skills and servers that are withheld, by agent; two queries."""
    ids = list(agents)
    found: dict[UUID, set[UUID]] = {}
    for loan in LOANS:
        for agent, thing in _rows(loan).filter(agent_id__in=ids).values_list("agent_id", "thing"):
            found.setdefault(agent, set()).add(thing)
    return found


def reasons(agent: Agent, attached: Iterable[AgentSkill]) -> list[dict[str, str]]:
    """Return which of the agent's attached skills are withheld, and why in words; two queries."""
    withheld = of([agent.pk]).get(agent.pk, set())
    skills = [one.skill for one in attached if one.skill and one.skill.pk in withheld]
    return [{"skill_id": str(skill.pk), "why": reason(agent, SKILLS, skill)} for skill in skills]


def server_reasons(agent: Agent, attached: Sequence[AgentMCPServer]) -> dict[UUID, str]:
    """Return why attached servers are withheld from the agent, by server, of those that are; two queries."""
    withheld = of([agent.pk]).get(agent.pk, set()) if attached else set()
    return {one.server_id: reason(agent, SERVERS, one.server) for one in attached if one.server_id in withheld}


def reason(agent: Agent, loan: Loan, thing: Skill | MCPServer) -> str:
    """Return why a thing is withheld, in words."""
    whose = agent.ref if acting_principal_id(agent) == agent.pk else agent.owner_principal.ref
    return f"{whose} may no longer use the {loan.word} {thing.name}"


def without(spec: AgentSpec, withheld: Collection[UUID]) -> AgentSpec:
    """Return the spec without the skills, tools among them, and the servers that are withheld. Pure."""
    if not withheld:
        return spec
    skills = [one for one in spec.skills if not (isinstance(one, AttachedSkill) and one.skill_id in withheld)]
    tools = [tool for tool in spec.custom_tools if tool.skill_id not in withheld]
    servers = [one for one in spec.mcp_servers if one.mcp_server_registration_id not in withheld]
    return spec.model_copy(update={"skills": skills, "custom_tools": tools, "mcp_servers": servers})


def _judged(loan: Loan, organization_id: UUID) -> tuple[set[Pair], set[Pair]]:
    """Write what is withheld now of one kind. Returns what was lost since it was judged last, and what came back."""
    now = _unlent(loan, organization_id)
    before = set(_rows(loan).filter(agent__organization_id=organization_id).values_list("agent_id", "thing"))
    lost, regained = now - before, before - now
    since = timezone.now()
    rows = [loan.withheld(agent_id=agent, since=since, **{f"{loan.column}_id": thing}) for agent, thing in lost]
    loan.withheld.objects.bulk_create(rows)
    _forget(loan, regained)
    if loan is SERVERS:
        convergence.attachments_changed(lost, urgent=True)
        convergence.attachments_changed(regained)
    return lost, regained


def _unlent(loan: Loan, organization_id: UUID) -> set[Pair]:
    """Return the live agents' attached things that they may not use; four queries for any number."""
    rows = loan.attachment.objects.filter(
        agent__organization_id=organization_id, agent__archived_at__isnull=True, **{f"{loan.column}__isnull": False}
    ).annotate(thing=F(f"{loan.column}_id"))
    attached = rows.select_related("agent").only("id", *(f"agent__{name}" for name in ACTING))
    asked = {(one.agent_id, one.thing): acting_principal_id(one.agent) for one in attached}
    refused = lending.refused(loan, ((principal, thing) for (_, thing), principal in asked.items()))
    return {pair for pair, principal in asked.items() if (principal, pair[1]) in refused}


def _allowed_again(loan: Loan, organization_id: UUID) -> set[Pair]:
    rows = _rows(loan).filter(agent__organization_id=organization_id, agent__archived_at__isnull=True)
    held_back = rows.select_related("agent").only("id", f"{loan.column}_id", *(f"agent__{name}" for name in ACTING))
    acting = {(one.agent_id, one.thing): acting_principal_id(one.agent) for one in held_back}
    if not acting:
        return set()
    attached = loan.attachment.objects.filter(agent_id__in={agent for agent, _ in acting})
    asked = acting.keys() & set(attached.values_list("agent_id", f"{loan.column}_id"))
    refused = lending.refused(loan, ((acting[pair], pair[1]) for pair in asked))
    return {pair for pair in asked if (acting[pair], pair[1]) not in refused}


def _forget(loan: Loan, pairs: Collection[Pair]) -> None:
    """Remove these rows; the filter by agent and thing alone would take their other combinations too."""
    rows = _rows(loan).filter(
        Q(agent_id__in={agent for agent, _ in pairs}) & Q(thing__in={thing for _, thing in pairs})
    )
    gone = [pk for pk, *pair in rows.values_list("pk", "agent_id", "thing") if tuple(pair) in pairs]
    loan.withheld.objects.filter(pk__in=gone).delete()


def _rows(loan: Loan) -> Any:
    """Return the rows of what is withheld of one kind, each with the id of the thing."""
    return loan.withheld.objects.annotate(thing=F(f"{loan.column}_id"))
