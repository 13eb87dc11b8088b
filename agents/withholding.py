"""An attached skill that its agent may no longer use is withheld: the attachment stays, what CMA has goes without it.

Judged when access changed (`agents.access_watch`), for all agents of an organization at once; the driver reads the
outcome. The outcome and the agents that it makes stale are written together, so a right that comes back before
anything was pushed ends as it began.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from agents import access_watch, convergence, lending
from agents.models import Agent, AgentSkill, WithheldSkill
from agents.queries import acting_principal_id
from agents.spec import AgentSpec, AttachedSkill

WATCH = "skills"
ACTING = ("agent_kind", "owner_principal_id")  # what tells for whom an agent acts

Pair = tuple[UUID, UUID]
"""An agent and one of its skills."""


def follow_access() -> int:
    """Judge the organizations whose access has changed. Returns how many."""
    return access_watch.follow(WATCH, judge)


def judge(organization_id: UUID) -> None:
    """Withhold what the organization's agents may no longer use, and give back what they may use again.

    Only agents for which something changed become stale. Runs in the caller's transaction.
    """
    now = _unlent(organization_id)
    before = set(
        WithheldSkill.objects.filter(agent__organization_id=organization_id).values_list("agent_id", "skill_id")
    )
    lost, regained = now - before, before - now
    since = timezone.now()
    WithheldSkill.objects.bulk_create(WithheldSkill(agent_id=one, skill_id=skill, since=since) for one, skill in lost)
    _forget(regained)
    convergence.agents_changed({agent for agent, _ in lost}, urgent=True)
    convergence.agents_changed({agent for agent, _ in regained} - {agent for agent, _ in lost})


def of(agents: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """Return the skills that are withheld, by agent; one query."""
    found: dict[UUID, set[UUID]] = {}
    for agent, skill in WithheldSkill.objects.filter(agent_id__in=agents).values_list("agent_id", "skill_id"):
        found.setdefault(agent, set()).add(skill)
    return found


def reasons(agent: Agent, attached: Iterable[AgentSkill]) -> list[dict[str, str]]:
    """Return which of the agent's attached skills are withheld, and why in words; one query."""
    withheld = of([agent.pk]).get(agent.pk, set())
    whose = agent.ref if acting_principal_id(agent) == agent.pk else agent.owner_principal.ref
    return [
        {"skill_id": str(one.skill.pk), "why": f"{whose} may no longer use the skill {one.skill.name}"}
        for one in attached
        if one.skill and one.skill.pk in withheld
    ]


def without(spec: AgentSpec, withheld: Collection[UUID]) -> AgentSpec:
    """Return the spec without the skills, tools among them, that are withheld. Pure."""
    if not withheld:
        return spec
    skills = [one for one in spec.skills if not (isinstance(one, AttachedSkill) and one.skill_id in withheld)]
    tools = [tool for tool in spec.custom_tools if tool.skill_id not in withheld]
    return spec.model_copy(update={"skills": skills, "custom_tools": tools})


def _unlent(organization_id: UUID) -> set[Pair]:
    """Return the live agents' attached skills that they may not use; four queries for any number."""
    rows = AgentSkill.objects.filter(
        agent__organization_id=organization_id, agent__archived_at__isnull=True, skill__isnull=False
    )
    attached = list(rows.select_related("agent").only("skill_id", *(f"agent__{name}" for name in ACTING)))
    asked = {(one.agent_id, one.skill_id): acting_principal_id(one.agent) for one in attached if one.skill_id}
    refused = lending.refused((principal, skill) for (_, skill), principal in asked.items())
    return {pair for pair, principal in asked.items() if (principal, pair[1]) in refused}


def _forget(pairs: Collection[Pair]) -> None:
    """Remove these rows; the filter by agent and skill alone would take their other combinations too."""
    rows = WithheldSkill.objects.filter(
        Q(agent_id__in={agent for agent, _ in pairs}) & Q(skill_id__in={skill for _, skill in pairs})
    )
    gone = [pk for pk, *pair in rows.values_list("pk", "agent_id", "skill_id") if tuple(pair) in pairs]
    WithheldSkill.objects.filter(pk__in=gone).delete()
