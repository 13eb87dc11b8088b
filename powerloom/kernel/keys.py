"""Keys for keyed hashes, derived from the installation's secret key, one a purpose (HKDF, RFC 5869)."""

from __future__ import annotations

import hmac
from functools import cache

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings


@cache
def derived_key(purpose: str) -> bytes:
    """Return the 32-byte key of a purpose; different purposes never share one."""
    info = f"powerloom/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(settings.SECRET_KEY.encode())


def keyed_hash(purpose: str, text: str) -> str:
    """Return the hex HMAC-SHA-256 of a text under the purpose's key: how tokens and tickets are kept."""
    return hmac.digest(derived_key(purpose), text.encode(), "sha256").hex()
