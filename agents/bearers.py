"""Bearers of credentials: minted here, kept as a keyed hash and as a sealed value, never as text.

A token that a foreign server gave is hashed under a purpose of its own, so that it never opens anything at the fleet.
"""

from __future__ import annotations

import secrets

from powerloom.kernel.keys import keyed_hash

PREFIX = "plb_"
BYTES = 32


def mint() -> tuple[str, str]:
    """Return a new bearer of 256 random bits, safe in URLs and headers, and its keyed hash."""
    bearer = PREFIX + secrets.token_urlsafe(BYTES)
    return bearer, hash_of(bearer)


def hash_of(bearer: str) -> str:
    """Return the keyed hash by which the fleet knows a bearer."""
    return keyed_hash("bearer", bearer)


def hash_of_given(token: str) -> str:
    """Return the keyed hash of a foreign server's own token: tells a repeat from another token, and no more."""
    return keyed_hash("given_token", token)
