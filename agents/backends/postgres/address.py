"""A database's URL, taken apart: only what we understand is used, and nothing of it is ever shown.

A URL of libpq can carry `options` that switch timeouts off, files to read and hosts to try, so the connection is made
anew from six of its parts. psycopg's own error about a URL prints all of it; ours say fixed words.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict

from agents.backends.base import Unfit

STEP = "database_url"
FORM = "postgresql://user:password@host:port/database?sslmode=require"
TLS = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


@dataclass(frozen=True)
class Address:
    """Where a database is and who asks."""

    host: str
    port: int
    database: str
    user: str
    password: str = field(repr=False)
    sslmode: str


def address_of(url: str) -> Address:
    """Return the parts of a database's URL. Raises `Unfit`, which holds nothing of it."""
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.Error:
        raise Unfit(STEP, f"The secret is no URL of a PostgreSQL database. Its form is {FORM}.") from None
    host, user, database = parts.get("host", ""), parts.get("user", ""), parts.get("dbname", "")
    if not (host and user and database):
        raise Unfit(STEP, f"The URL has to name a user, a host and a database. Its form is {FORM}.")
    if "," in host or "," in parts.get("port", "") or host.startswith(("/", "@")):
        raise Unfit(STEP, "The URL has to name one host on the network, not several and not a socket's folder.")
    port = parts.get("port", "5432")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise Unfit(STEP, "The port in the URL is no port.")
    sslmode = parts.get("sslmode", "prefer")
    if sslmode not in TLS:
        raise Unfit(STEP, f"The sslmode in the URL is none of {', '.join(TLS)}.")
    return Address(host, int(port), database, user, parts.get("password", ""), sslmode)
