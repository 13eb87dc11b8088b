"""REST routes of approvals, by noun."""

from ninja import Router

from approvals.api import policies, requests

router = Router()
for part in (policies, requests):
    router.add_router("", part.router)
