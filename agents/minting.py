"""The edge of a credential: its value is made, or taken from the caller, and sealed before a command names it."""

from __future__ import annotations

from uuid import UUID

from accounts import sealing
from agents import bearers

SEALED = "credential"  # the kind of sealed row that a credential takes


def sealed_bearer(organization_id: UUID) -> tuple[UUID, str]:
    """Mint a bearer and seal it. Returns the sealed row's id and the bearer's keyed hash."""
    bearer, bearer_hash = bearers.mint()
    return sealing.seal(bearer, kind=SEALED, organization_id=organization_id), bearer_hash


def sealed_token(organization_id: UUID, token: str) -> tuple[UUID, str]:
    """Seal a foreign server's own token. Returns the sealed row's id and the token's keyed hash."""
    return sealing.seal(token, kind=SEALED, organization_id=organization_id), bearers.hash_of_given(token)
