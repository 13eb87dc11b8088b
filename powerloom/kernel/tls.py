"""Whom this process trusts on the wire: one TLS context for every client that it makes."""

from functools import cache
from ssl import SSLContext

import httpx2


@cache
def trust() -> SSLContext:
    """Return the context that trusts the usual authorities, or those that SSL_CERT_FILE or SSL_CERT_DIR names.

    Reading them takes 40 ms of processor time, so a client made for one task shall not read them anew.
    """
    return httpx2.create_ssl_context()
