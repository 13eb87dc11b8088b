"""Connections to the databases of deployments: few of each, kept for a minute, and transactions on them.

A deployment whose URL, config or way out changed begins anew; connections of before go when they come back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any  # rows of any shape
from uuid import UUID

import psycopg
from psycopg.pq import TransactionStatus

from agents.backends.base import Served, Unfit
from agents.backends.postgres.address import Address, address_of
from agents.backends.postgres.lines import Connection, cut_after, cut_beyond, refused_beyond
from agents.backends.postgres.rows import ADAPTERS
from agents.mcp.postgres.template import PostgresConfig, PostgresPolicy
from powerloom.web import egress

MOST = 4  # connections of one deployment
MOST_RECEIVED = 64 * 1024 * 1024  # bytes that the server may send in one transaction
KEPT = 60.0  # seconds that an idle one is kept
CONNECTING = 10  # seconds
PATIENCE = 5  # seconds that we wait longer than the server would
LOCK_WAIT = "2s"

# Strings are read as the parser read them, names are looked up where it thought, and values come as ISO writes them.
SETTINGS = {
    "search_path": "pg_catalog, pg_temp",
    "standard_conforming_strings": "on",
    "row_security": "on",
    "lock_timeout": f"'{LOCK_WAIT}'",
    "datestyle": "'ISO, YMD'",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "cursor_tuple_fraction": "1",
}

# What is not taken from the URL is set, so that libpq does not ask the environment or the home folder for it.
FIXED: dict[str, Any] = {
    "options": "",
    "passfile": "/dev/null",
    "gssencmode": "disable",
    "target_session_attrs": "any",
    "client_encoding": "utf8",
    "application_name": "powerloom",
    "connect_timeout": CONNECTING,
    "autocommit": True,
    "context": ADAPTERS,
}

# libpq tells why it has no connection in words only, and those may hold the user, the host and more: they are matched,
# never shown.
REASONS = {
    "password authentication failed": "it refuses the user or the password. Rotate the secret.",
    "no password supplied": "the URL holds no password. Rotate the secret.",
    "no pg_hba.conf entry": "its pg_hba.conf lets this user in neither from here nor with this sslmode.",
    "not permitted to log in": "the user may not log in.",
    "permission denied for database": "the user may not connect to this database.",
    "too many": "it has no connection left. Try later, or raise its limit.",
    "remaining connection slots": "it has no connection left. Try later, or raise its limit.",
    "starting up": "it is starting. Try later.",
    "shutting down": "it is stopping. Try later.",
    "server does not support SSL": "it has no TLS, and the URL's sslmode asks for it.",
    "certificate": "its certificate is not the one that the URL's sslmode asks for.",
    "Connection refused": "nobody listens there. Is it up, and the port right?",
    "FATAL:  role ": "it refuses this user. Rotate the secret.",
    "FATAL:  database ": "it has no database of this name. Rotate the secret.",
}
UNKNOWN = "is it up, does its firewall let us in, is the URL's sslmode right?"


async def connect(address: Address, way: egress.Way) -> Connection:
    """Connect to the one address of the host that the egress guard has checked. Raises `Unfit`."""
    try:
        checked = await egress.resolve(address.host, address.port, way)
    except egress.Blocked:
        words = (
            "The host in the database's URL is not known, or may not be reached: a private one has to be named by an "
            "egress rule of the organization."
        )
        raise Unfit("egress", words) from None
    try:
        async with asyncio.timeout(CONNECTING + PATIENCE):
            connection = await psycopg.AsyncConnection.connect(
                host=address.host,
                hostaddr=checked,
                port=address.port,
                dbname=address.database,
                user=address.user,
                password=address.password,
                sslmode=address.sslmode,
                **FIXED,
            )
    except (psycopg.Error, TimeoutError) as error:
        said = str(error)
        why = next((words for phrase, words in REASONS.items() if phrase in said), UNKNOWN)
        raise Unfit("connect", f"Connecting to the database failed ({type(error).__name__}): {why}") from None
    if connection.info.parameter_status("server_encoding") != "UTF8":
        await connection.close()
        raise Unfit("connect", "The database's encoding is not UTF8, so names in it cannot be compared safely.")
    return connection


@dataclass
class _Pool:
    """The connections of one deployment, for one address and way."""

    address: Address
    way: egress.Way
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST))
    idle: list[tuple[float, Connection]] = field(default_factory=list)
    busy: int = 0


class Connections:
    """The pools of all deployments in one process; used on one event loop."""

    def __init__(self, *, kept: float = KEPT, most: int = MOST_RECEIVED) -> None:
        self._kept = kept
        self._most = most
        self._pools: dict[UUID, _Pool] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def transaction(
        self, served: Served[PostgresConfig, PostgresPolicy], *, writes: bool = False
    ) -> AsyncIterator[Connection]:
        """Lend a connection in a transaction, committed if it writes and the block ends well, else undone.

        Raises `Unfit` when there is no connection to be had, and `Flooded`.
        """
        pool = self._pool_of(served)
        async with pool.free:
            pool.busy += 1
            connection: Connection | None = None
            try:
                timeout = served.config.statement_timeout_seconds
                connection = await self._begun(pool, _opening(timeout, writes=writes))
                with cut_after(timeout + PATIENCE, connection):
                    with refused_beyond(self._most, connection):
                        yield connection
                        if not writes:
                            await connection.execute("ROLLBACK")
                    if writes:
                        # One that was cut may have happened: its caller is not told that it was refused.
                        with cut_beyond(self._most, connection):
                            await connection.execute("COMMIT")
            finally:
                pool.busy -= 1
                await self._give_back(served.deployment_id, pool, connection)

    async def close(self) -> None:
        """Close what is idle. What is busy closes when it comes back."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            for _, connection in pool.idle:
                await connection.close()
        await asyncio.gather(*self._closing)

    def _pool_of(self, served: Served[PostgresConfig, PostgresPolicy]) -> _Pool:
        address = address_of(served.secrets["database_url_secret"])
        pool = self._pools.get(served.deployment_id)
        if pool is None or (pool.address, pool.way) != (address, served.way):
            if pool is not None:
                self._drop(pool.idle)
            pool = self._pools[served.deployment_id] = _Pool(address, served.way)
        return pool

    async def _begun(self, pool: _Pool, opening: bytes) -> Connection:
        """Begin on an idle connection that still lives, else on a new one."""
        while pool.idle:
            _, connection = pool.idle.pop()
            with suppress(psycopg.OperationalError):
                return await _begin(connection, opening)
        return await _begin(await connect(pool.address, pool.way), opening)

    async def _give_back(self, deployment_id: UUID, pool: _Pool, connection: Connection | None) -> None:
        """Keep a connection that is at rest and still wanted; after a failure it may be anywhere, so it goes."""
        if connection is None:
            return
        is_at_rest = connection.info.transaction_status == TransactionStatus.IDLE
        if not is_at_rest or self._pools.get(deployment_id) is not pool:
            await connection.close()
            return
        pool.idle.append((time.monotonic(), connection))
        asyncio.get_running_loop().call_later(self._kept, self._sweep, deployment_id, pool)

    def _sweep(self, deployment_id: UUID, pool: _Pool) -> None:
        old = time.monotonic() - self._kept
        self._drop([kept for kept in pool.idle if kept[0] <= old])
        pool.idle = [kept for kept in pool.idle if kept[0] > old]
        if not pool.idle and not pool.busy and self._pools.get(deployment_id) is pool:
            del self._pools[deployment_id]

    def _drop(self, idle: list[tuple[float, Connection]]) -> None:
        for _, connection in idle:
            task = asyncio.get_running_loop().create_task(connection.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _opening(timeout: int, *, writes: bool) -> bytes:
    """Return what begins a transaction: constants and numbers of ours, so one message may hold them all."""
    settings = SETTINGS | {
        "statement_timeout": f"'{timeout}s'",
        "idle_in_transaction_session_timeout": f"'{timeout + PATIENCE}s'",
    }
    begin = f"BEGIN ISOLATION LEVEL READ COMMITTED, {'READ WRITE' if writes else 'READ ONLY'}"
    return "; ".join([begin, *(f"SET LOCAL {name} = {value}" for name, value in settings.items())]).encode()


async def _begin(connection: Connection, opening: bytes) -> Connection:
    """Begin a transaction, or close the connection and raise."""
    try:
        with cut_after(PATIENCE, connection):
            await connection.execute(opening)
    except BaseException:
        await connection.close()
        raise
    return connection
