"""The bearer of one session's own vault: minted here, kept as a keyed hash, and good for nothing but to be traded."""

from __future__ import annotations

import secrets

from accounts.models import Delegation
from powerloom.kernel.keys import keyed_hash

PREFIX = "pls_"


def mint() -> tuple[str, str]:
    """Return a new bearer for a session's vault, and its keyed hash."""
    bearer = PREFIX + secrets.token_urlsafe(32)
    return bearer, hash_of(bearer)


def hash_of(bearer: str) -> str:
    """Return the keyed hash by which a session's bearer is known."""
    return keyed_hash("session_bearer", bearer)


def delegation_of(bearer: str) -> Delegation | None:
    """Return the delegation whose bearer this is, whether or not it is good now; one query at most."""
    return Delegation.objects.filter(bearer_hash=hash_of(bearer)).first() if bearer.startswith(PREFIX) else None
