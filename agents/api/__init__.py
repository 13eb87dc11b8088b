"""REST routes of agents and skills, by noun."""

from ninja import Router

from agents.api import agents, attachments, deployments, grants, server_attachments, skills, sync, versions

router = Router()
for part in (agents, versions, attachments, server_attachments, skills, grants, sync, deployments):
    router.add_router("", part.router)
