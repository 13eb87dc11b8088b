"""Bearers of credentials: minted here, kept as a keyed hash and as a sealed value, never as text.

A token that a foreign server gave is hashed under a purpose of its own, so that it never opens anything at the fleet.
"""

from __future__ import annotations

import secrets
from datetime import datetime

from agents.endpoints import origin_of
from agents.models import Credential
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


def is_good(credential: Credential, now: datetime) -> bool:
    """Tell whether a credential's value may be used: it is there, it has not expired, and the server is still at the
    origin that it was given for. Pure, given the credential with its server.
    """
    has_ended = credential.archived_at is not None or credential.voided_at is not None
    has_expired = credential.expires_at is not None and credential.expires_at <= now
    has_moved = bool(credential.origin) and credential.origin != origin_of(credential.server.url)
    return not (has_ended or has_expired or has_moved)
