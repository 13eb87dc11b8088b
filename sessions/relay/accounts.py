"""One client for each CMA account: an organization may have a key of its own."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Self
from uuid import UUID

from powerloom.cma.client import CMA
from powerloom.reconcile.account import Account, account_of


class Accounts:
    """The clients of a relay, made when first needed, closed together."""

    def __init__(self) -> None:
        self._clients: dict[Account, CMA] = {}

    def client_of(self, organization_id: UUID) -> CMA:
        """Return the client of the organization's account."""
        account = account_of(organization_id)
        if account not in self._clients:
            self._clients[account] = CMA(base_url=account.url, api_key=account.key)
        return self._clients[account]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        async with AsyncExitStack() as stack:
            for client in self._clients.values():
                stack.push_async_callback(client.close)
