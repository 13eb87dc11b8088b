"""REST routes of approvals, by noun."""

from ninja import Router

from approvals.api import access, policies, requests, trials, webhooks

router = Router()
for part in (access, trials, policies, requests, webhooks):
    router.add_router("", part.router)
