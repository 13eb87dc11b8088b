"""REST routes of agents, skills and MCP servers, by noun."""

from ninja import Router

from agents.api import (
    agents,
    attachments,
    credentials,
    deployments,
    grants,
    server_attachments,
    servers,
    skills,
    sync,
    versions,
)

router = Router()
for part in (
    agents,
    versions,
    attachments,
    server_attachments,
    skills,
    grants,
    servers,
    credentials,
    sync,
    deployments,
):
    router.add_router("", part.router)
