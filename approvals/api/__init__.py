"""REST routes of approvals, by noun."""

from ninja import Router

from approvals.api import policies, requests, trials, webhooks

router = Router()
for part in (trials, policies, requests, webhooks):
    router.add_router("", part.router)
