"""Which CMA account serves an organization: one key for all by default, or a key (and workspace) of its own.

`settings.CMA_ACCOUNTS` maps organization ids to `{"url": …, "key": …}`; what it does not name uses `CMA_URL` and
`CMA_KEY`. Limits are CMA's per account, so everything that counts calls goes by account, not by organization.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings

from powerloom.kernel.keys import keyed_hash


@dataclass(frozen=True)
class Account:
    """Where an organization's agents run. The key never shows in a log."""

    url: str
    key: str = field(repr=False)

    @property
    def name(self) -> str:
        """A stable name that tells nothing about the key."""
        return keyed_hash("cma account", f"{self.url} {self.key}")


def account_of(organization_id: UUID) -> Account:
    """Return the account of an organization."""
    own: dict[str, str] = settings.CMA_ACCOUNTS.get(str(organization_id), {})
    return Account(url=own.get("url", settings.CMA_URL), key=own.get("key", settings.CMA_KEY))
