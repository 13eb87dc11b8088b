"""Agents that use Powerloom itself, with the rights of whoever talks to them: which they are, and what it takes to
change one.

Whoever writes such an agent's prompt, skills or tools speaks to everybody who talks to it, and through it with their
rights. So each change takes `agent:delegate` at the root, the right of the root's OrgAdmin, besides its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db.models import QuerySet

from accounts.models import OU
from agents.actions import Action
from agents.mcp.powerloom_meta import KIND
from agents.models import Agent, AgentMCPServer, AgentSkill, MCPServer
from agents.queries.reach import agents_calling, deployments_naming
from agents.spec import AgentSpec, Tools
from powerloom.commands.registry import Need
from powerloom.kernel.errors import Invalid
from powerloom.kernel.refs import Target

REACHING_OUT = ("bash", "web_fetch", "web_search")  # what brings others' words in, or carries ours out


def is_meta(server: MCPServer) -> bool:
    """Tell whether this server is Powerloom itself. Its deployment is loaded."""
    return server.deployment is not None and server.deployment.template_kind == KIND


def meta_servers(server_ids: Iterable[UUID]) -> list[MCPServer]:
    """Return those of the servers that are Powerloom itself, with their deployments; one query."""
    rows = MCPServer.objects.filter(pk__in=list(server_ids), deployment__template_kind=KIND)
    return list(rows.select_related("deployment").order_by("pk"))


def delegates(agent: Agent) -> bool:
    """Tell whether the agent has such a server attached now; one query."""
    return AgentMCPServer.objects.filter(agent=agent, server__deployment__template_kind=KIND).exists()


def needs_of_any(agents: QuerySet[Agent], organization_id: UUID) -> tuple[Need, ...]:
    """Return the further right that a change takes which reaches all of these agents; none when none is such a one."""
    having = _meta_attachments().filter(agent__in=agents)
    return (need(organization_id),) if having.exists() else ()


def needs_of_secret(secret: Target) -> tuple[Need, ...]:
    """Return the further right that another value for this secret takes; none when no deployment names it that such
    an agent has. Whoever keeps the key of a tool says what that tool answers.
    """
    named = deployments_naming([(secret.name, secret.ou_path)], organization_id=secret.organization_id)
    if not named or secret.organization_id is None:
        return ()
    users = Agent.objects.filter(archived_at__isnull=True, pk__in=agents_calling(named))
    return needs_of_any(users, secret.organization_id)


def needs_through(
    attached: QuerySet[AgentMCPServer] | QuerySet[AgentSkill], column: str
) -> dict[UUID, tuple[Need, ...]]:
    """Return the further right that changing each of several attached things takes, by what `column` names; a thing
    that no such agent has is absent. Two queries at most.
    """
    live = attached.filter(agent__archived_at__isnull=True, agent__in=_meta_attachments().values("agent"))
    rows = list(live.values_list(column, "agent__organization_id").distinct())
    further = (need(rows[0][1]),) if rows else ()
    return {thing: further for thing, _ in rows}


def _meta_attachments() -> QuerySet[AgentMCPServer]:
    return AgentMCPServer.objects.filter(server__deployment__template_kind=KIND)


def needs(agent: Agent, *, becomes: bool = False) -> tuple[Need, ...]:
    """Return the further right that a change of this agent takes; none for an agent that neither is nor becomes such
    a one.
    """
    return (need(agent.organization_id),) if becomes or delegates(agent) else ()


def needs_of_many(agents: Collection[Agent]) -> dict[UUID, tuple[Need, ...]]:
    """As `needs`, for many agents of one organization, by id; two queries at most."""
    having = _meta_attachments().filter(agent__in=[agent.id for agent in agents])
    meta = set(having.values_list("agent_id", flat=True))
    further = (need(next(iter(agents)).organization_id),) if meta else ()
    return {agent.id: further if agent.id in meta else () for agent in agents}


def need(organization_id: UUID) -> Need:
    """Return the right itself."""
    root = OU.objects.get(organization_id=organization_id, parent__isnull=True)
    return Need(Action.AGENT_DELEGATE, Target("ou", root.id, root.name, organization_id, root.path))


def refuse_four_eyes(agent: Agent) -> None:
    """As `refuse_four_eyes_among`, of what the agent has now; one query."""
    rows = AgentMCPServer.objects.filter(agent=agent).select_related("server__deployment")
    refuse_four_eyes_among(agent, rows)


def refuse_four_eyes_among(agent: Agent, attached: Iterable[AgentMCPServer]) -> None:
    """Raise `Invalid` when such an agent is to have a server that wants four eyes: its sessions are for two eyes only.

    The attachments come with their servers and deployments.
    """
    attached = list(attached)
    if any(one.four_eyes for one in attached) and any(is_meta(one.server) for one in attached):
        raise Invalid(
            f"{agent.name} acts for whoever talks to it, who alone may answer its calls, so none can want four eyes. "
            "Let them ask instead: always_ask without four_eyes.",
            field="four_eyes",
        )


def confined(spec: AgentSpec) -> AgentSpec:
    """Return the spec without the tools that reach out; whoever may change the agent may switch one on again."""
    off = {name: getattr(spec.tools, name).model_copy(update={"enabled": False}) for name in REACHING_OUT}
    tools = Tools.model_validate(spec.tools.model_copy(update=off).model_dump())
    return spec.model_copy(update={"tools": tools})
