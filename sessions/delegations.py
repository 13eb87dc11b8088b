"""Sessions whose tools act for the person who started them: when a session's bearer becomes a token, and when a token
still opens anything.

    the bearer of the session's own vault  ─ the fleet, with its own client credential →  a token of five minutes
    the token  ─ a tool, at one of its routes →  the user, as the session acts for him

Both are asked the same, anew and without a cache: a turn of the session is under way, nobody has told it to stop, what
the user came with is still good, and he may still invoke the agent. Whatever is missing, the answer is the same.
"""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from accounts import delegations, rbac, session_bearers, tokens
from accounts.models import Delegation
from agents.actions import Action
from agents.mcp.powerloom_meta import KIND, ROUTES
from agents.models import Agent, AgentMCPServer, DeploymentStatus
from powerloom.kernel.errors import Invalid, Unauthenticated
from powerloom.kernel.refs import Actor
from sessions.queries import is_in_turn

ENDED = "This session acts for nobody now: it has ended, was interrupted, or its user lost the right to it."


def exchange(bearer: str, deployment_id: UUID, tool: str) -> str:
    """Return a fresh token for one tool. Raises `Invalid` for a tool that there is not, `Unauthenticated` for a bearer
    that is not good now, or not at this deployment.
    """
    if tool not in ROUTES:
        raise Invalid(f"There is no tool {tool[:64]!a}.", field="tool")
    delegation = session_bearers.delegation_of(bearer)
    if delegation is None or not _serves(deployment_id, delegation) or not is_good(delegation):
        raise Unauthenticated(ENDED)
    return delegations.token_of(delegation, tool=tool)


def authenticate(token: str, *, tools: Collection[str], request_id: str, address: str) -> Actor | None:
    """Return whom a delegated token stands for at a route of these tools, or None when it stands for nobody there."""
    claims = delegations.read(token, tools=tools)
    delegation = delegations.delegation_of(claims) if claims else None
    if delegation is None or not is_good(delegation):
        return None
    return delegations.actor_of(delegation, request_id=request_id, address=address)


def is_good(delegation: Delegation) -> bool:
    """Tell whether the session may act for its user now."""
    actor = delegations.actor_of(delegation)
    if not is_in_turn(delegation.session_id) or not tokens.is_good(actor):
        return False
    agent = Agent.objects.filter(pk=delegation.agent_id, archived_at__isnull=True).select_related("ou").first()
    return agent is not None and rbac.may(actor, Action.AGENT_INVOKE, agent.ou.path).allowed


def _serves(deployment_id: UUID, delegation: Delegation) -> bool:
    """Tell whether the agent has this deployment, which is Powerloom itself."""
    attached = AgentMCPServer.objects.filter(agent_id=delegation.agent_id, server__archived_at__isnull=True)
    running = {"server__deployment__template_kind": KIND, "server__deployment__status": DeploymentStatus.RUNNING}
    return attached.filter(server__deployment_id=deployment_id, **running).exists()
