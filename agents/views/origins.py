"""Where the deeds on agents, skills, servers and credentials start from and lead back to."""

from __future__ import annotations

from django.urls import reverse

from agents.models import Agent, Credential, MCPServer, Skill
from powerloom.web.deeds import Origin


def agent_origin(agent: Agent) -> Origin:
    """Return the page of an agent, in the room of agents."""
    return Origin(reverse("agents:detail", args=[agent.id]), agent.ou.path, reverse("agents:list"))


def skill_origin(skill: Skill) -> Origin:
    """Return the page of a skill, in the room of skills."""
    return Origin(reverse("agents:skill", args=[skill.id]), skill.ou.path, reverse("agents:skills"))


def server_origin(server: MCPServer) -> Origin:
    """Return the page of an MCP server, in the room of servers."""
    return Origin(reverse("agents:server", args=[server.id]), server.ou.path, reverse("agents:servers"))


def credential_origin(credential: Credential) -> Origin:
    """Return the page of a credential, in the room of credentials."""
    page, room = reverse("agents:credential", args=[credential.id]), reverse("agents:credentials")
    return Origin(page, credential.agent.ou.path, room)
