"""The edge of a credential: its value is made, or taken from the caller, and sealed before a command names it."""

from __future__ import annotations

from typing import Any  # fields of a command
from uuid import UUID

from accounts import sealing
from accounts.models import Sealed
from agents import bearers
from agents.models import CredentialSource

LONGEST_TOKEN = 8 * 1024  # servers and proxies take no longer header
SEALED = "credential"  # the kind of sealed row that a credential takes


def sealed_bearer(organization_id: UUID) -> tuple[UUID, str]:
    """Mint a bearer and seal it. Returns the sealed row's id and the bearer's keyed hash."""
    bearer, bearer_hash = bearers.mint()
    return sealing.seal(bearer, kind=SEALED, organization_id=organization_id), bearer_hash


def unsaved_bearer(organization_id: UUID) -> tuple[Sealed, str]:
    """As `sealed_bearer`, for a sealed row that the caller inserts together with others."""
    bearer, bearer_hash = bearers.mint()
    return sealing.sealed(bearer, kind=SEALED, organization_id=organization_id), bearer_hash


def sealed_token(organization_id: UUID, token: str) -> tuple[UUID, str]:
    """Seal a foreign server's own token. Returns the sealed row's id and the token's keyed hash."""
    return sealing.seal(token, kind=SEALED, organization_id=organization_id), bearers.hash_of_given(token)


def new_value(organization_id: UUID, token: str | None) -> dict[str, Any]:
    """Seal the token that was given, or a new bearer without one, and return what a command says of it."""
    source = CredentialSource.MINTED if token is None else CredentialSource.GIVEN
    sealed = sealed_bearer(organization_id) if token is None else sealed_token(organization_id, token)
    return {"sealed_id": sealed[0], "bearer_hash": sealed[1], "source": source}


def fits_a_header(token: str) -> bool:
    """Tell whether a token can stand in a header: visible ASCII characters, without spaces."""
    return all("!" <= letter <= "~" for letter in token)
