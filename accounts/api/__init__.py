"""REST routes of accounts, by noun."""

from ninja import Router

from accounts.api import access, auth, bindings, devices, directory, egress, groups, roles, secrets, tokens, users

router = Router()
for module in (access, auth, devices, directory, users, groups, roles, bindings, tokens, secrets, egress):
    router.add_router("", module.router)
