"""What is lent to agents, skills and MCP servers, and whether the principal they act for may use it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any  # models of two kinds; their managers share no type
from uuid import UUID

from accounts import rbac
from agents.actions import Action
from agents.models import (
    Agent,
    AgentKind,
    AgentMCPServer,
    AgentSkill,
    MCPServer,
    Skill,
    WithheldServer,
    WithheldSkill,
)
from agents.queries import acting_principal_id
from agents.spec import AgentSpec


@dataclass(frozen=True)
class Loan:
    """One kind of thing that is lent: its table, the right to use it, and the rows of who has it and from whom it is
    withheld, which name it in the column `column`.
    """

    word: str
    column: str
    thing: Any
    attachment: Any
    withheld: Any
    action: Action


SKILLS = Loan("skill", "skill", Skill, AgentSkill, WithheldSkill, Action.SKILL_USE)
SERVERS = Loan("MCP server", "server", MCPServer, AgentMCPServer, WithheldServer, Action.MCP_SERVER_USE)
LOANS = (SKILLS, SERVERS)


def lent_by(spec: AgentSpec, loan: Loan) -> list[UUID]:
    """Return the ids of the things of one kind that a spec lends to its agent."""
    return spec.skill_ids() if loan is SKILLS else spec.server_ids()


def refused(loan: Loan, pairs: Iterable[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Return those pairs of principal and thing where the principal may not use the thing.

    Three queries for any number; a disabled owner may use nothing.
    """
    asked = set(pairs)
    if not asked:
        return set()
    things = loan.thing.objects.filter(pk__in={thing for _, thing in asked}).select_related("ou")
    places = {thing.pk: thing.ou.path for thing in things}
    grants = rbac.grants_by_member({principal for principal, _ in asked}, loan.action)
    return {
        (principal, thing)
        for principal, thing in asked
        if thing not in places or not rbac.decide(grants.get(principal, ()), loan.action, places[thing], thing).allowed
    }


def said(agent: Agent, loan: Loan, thing: Skill | MCPServer) -> str:
    """Say, to whoever judges an attachment, what running the agent lends from now on. The agent's owner is loaded."""
    whose = f"with the rights of {agent.owner_principal.ref}"
    if acting_principal_id(agent) == agent.pk:
        whose = "with the agent's own rights"
    kind = AgentKind(agent.agent_kind).value
    return f"Whoever may invoke {agent.ref} lets this {kind} agent use the {loan.word} {thing.name}, {whose}."
