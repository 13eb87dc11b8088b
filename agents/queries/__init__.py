"""Reads of this app, by noun. Every function says who asks."""

from agents.queries.agents import (
    acting_principal_id,
    agent_for_change,
    agent_for_invoke,
    agent_for_read,
    agents_among,
    agents_for_change,
    agents_invocable_by,
    agents_visible_to,
    latest_versions,
    spec_of,
)
from agents.queries.deployments import deployment_for_change, deployment_for_read, deployments_visible_to
from agents.queries.servers import server_for_change, server_for_read, servers_visible_to
from agents.queries.skills import skill_for_change, skill_for_read, skills_visible_to

__all__ = [
    "acting_principal_id",
    "agent_for_change",
    "agent_for_invoke",
    "agent_for_read",
    "agents_among",
    "agents_for_change",
    "agents_invocable_by",
    "agents_visible_to",
    "deployment_for_change",
    "deployment_for_read",
    "deployments_visible_to",
    "latest_versions",
    "server_for_change",
    "server_for_read",
    "servers_visible_to",
    "skill_for_change",
    "skill_for_read",
    "skills_visible_to",
    "spec_of",
]
