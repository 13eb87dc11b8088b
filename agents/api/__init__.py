"""REST routes of agents and skills, by noun."""

from ninja import Router

from agents.api import agents, attachments, grants, server_attachments, skills, sync, versions

router = Router()
for part in (agents, versions, attachments, server_attachments, skills, grants, sync):
    router.add_router("", part.router)
