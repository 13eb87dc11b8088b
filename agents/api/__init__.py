"""REST routes of agents and skills, by noun."""

from ninja import Router

from agents.api import agents, attachments, deployments, grants, skills, sync, versions

router = Router()
for part in (agents, versions, attachments, skills, grants, sync, deployments):
    router.add_router("", part.router)
