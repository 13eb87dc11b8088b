"""Canonical JSON (RFC 8785): the only bytes that are ever hashed, signed or compared.

Two languages that serialize the same value get the same bytes, which `json.dumps(sort_keys=True)` does not promise.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any  # a JSON value: object, array, string, number, boolean or null

import rfc8785


def canonical(value: Any) -> bytes:
    """Return the RFC 8785 bytes of a JSON value.

    Raises `rfc8785.CanonicalizationError` when the value is not JSON (NaN, integers beyond 2**53, other types).
    """
    return rfc8785.dumps(value)


def digest(value: Any) -> str:
    """Return the lower-case hex SHA-256 of the value's canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()


def keyed_digest(key: bytes, value: Any) -> str:
    """Return the hex HMAC-SHA-256 of the value's canonical JSON.

    For digests over what may hold a secret: without the key nobody can test guesses against them.
    """
    return hmac.new(key, canonical(value), hashlib.sha256).hexdigest()


def text_digest(text: str) -> str:
    """Return the hex SHA-256 of the text's UTF-8 bytes."""
    return hashlib.sha256(text.encode()).hexdigest()
