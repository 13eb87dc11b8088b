"""One call, one transaction, one answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any  # structured answers are JSON

import psycopg
from psycopg.raw_cursor import AsyncRawCursor, AsyncRawServerCursor

from agents.backends.base import Answer, Backend, Served, Unfit
from agents.backends.postgres import catalog, fitness
from agents.backends.postgres.connections import CONNECTING, PATIENCE, Connections
from agents.backends.postgres.lines import Connection, Flooded
from agents.backends.postgres.rows import Collected, columns_of
from agents.mcp.postgres.grammar import Refused
from agents.mcp.postgres.statements import Read, read
from agents.mcp.postgres.tables import table_of
from agents.mcp.postgres.template import (
    DescribeTableArguments,
    ExplainArguments,
    ListTablesArguments,
    PostgresConfig,
    PostgresPolicy,
    QueryArguments,
)
from agents.mcp.template import Call

Postgres = Served[PostgresConfig, PostgresPolicy]
BATCH = 100  # rows asked for at once
CANCELLED = "57014"


class PostgresBackend(Backend[PostgresConfig, PostgresPolicy]):
    """See the package. Policy is asked again where the statement is read for running: nothing runs unread."""

    def __init__(self, connections: Connections | None = None) -> None:
        self._connections = connections or Connections()

    async def check(self, served: Postgres) -> list[str]:
        try:
            async with asyncio.timeout(_longest(served)), self._connections.transaction(served) as connection:
                return await fitness.judge(connection, served.policy)
        except (psycopg.Error, TimeoutError, Flooded) as error:
            state = getattr(error, "sqlstate", None) or "no answer"
            raise Unfit("role", f"Looking up the user's rights failed ({type(error).__name__}, {state}).") from None

    async def call(self, served: Postgres, call: Call) -> Answer:
        try:
            async with asyncio.timeout(_longest(served)):
                return await self._answer(served, call)
        except (Unfit, Refused) as error:
            return Answer(error.words if isinstance(error, Unfit) else error.reason, is_error=True)
        except TimeoutError:
            return Answer("The database did not answer in time.", is_error=True)
        except Flooded:
            return Answer("The database sent more than can be held. Ask for fewer or shorter values.", is_error=True)
        except psycopg.Error as error:
            return Answer(_told(error, served), is_error=True)

    async def close(self) -> None:
        await self._connections.close()

    async def _answer(self, served: Postgres, call: Call) -> Answer:
        match call.arguments:
            case ListTablesArguments():
                async with self._connections.transaction(served) as connection:
                    return _structured({"tables": await catalog.tables(connection, served.policy.tables)})
            case DescribeTableArguments(table=name):
                async with self._connections.transaction(served) as connection:
                    found = await catalog.description(connection, table_of(name))
                return _structured(found) if found else Answer("There is no such table.", is_error=True)
            case ExplainArguments() as asked:
                return await self._explain(served, asked)
            case QueryArguments() as asked:
                return await self._query(served, asked)
        raise ValueError(f"postgres has no tool {call.tool}")

    async def _query(self, served: Postgres, asked: QueryArguments) -> Answer:
        statement = await _read(served, asked.sql)
        collected = Collected(served.config.row_limit, served.config.result_bytes)
        async with self._connections.transaction(served, writes=statement.writes) as connection:
            if statement.writes:
                await _write(connection, statement, asked, collected)
            else:
                await _fetch(connection, statement, asked, collected)
        return _structured(collected.as_json())

    async def _explain(self, served: Postgres, asked: ExplainArguments) -> Answer:
        statement = await _read(served, asked.sql)
        if asked.analyze and statement.writes:
            raise Refused("deny_mutation_keywords", "What writes is explained without analyze.")
        options = "ANALYZE, BUFFERS" if asked.analyze else "ANALYZE FALSE"
        async with self._connections.transaction(served, writes=False) as connection:
            cursor = await _executed(connection, f"EXPLAIN ({options}) {statement.sql}", asked)
            plan = "\n".join(line for (line,) in await cursor.fetchall())
        return Answer(plan, {"plan": plan})


async def _fetch(connection: Connection, statement: Read, asked: QueryArguments, collected: Collected) -> None:
    """Read through a cursor of the server's, which is asked for no more rows than are shown."""
    async with AsyncRawServerCursor(connection, "asked") as cursor:
        await cursor.execute(statement.sql.encode(), asked.parameters)
        collected.columns = columns_of(cursor.description)
        while rows := await cursor.fetchmany(min(BATCH, collected.room)):
            if not collected.add(rows):
                break


async def _write(connection: Connection, statement: Read, asked: QueryArguments, collected: Collected) -> None:
    cursor = await _executed(connection, statement.sql, asked)
    if cursor.description is not None:
        collected.columns = columns_of(cursor.description)
        while (rows := await cursor.fetchmany(BATCH)) and collected.add(rows):
            pass
    collected.note = " ".join(filter(None, [f"Rows written: {cursor.rowcount}.", collected.note]))


async def _executed(connection: Connection, sql: str, asked: QueryArguments) -> AsyncRawCursor[Any]:
    """Execute as a prepared statement: that protocol takes one statement, whatever the text is."""
    cursor: AsyncRawCursor[Any] = AsyncRawCursor(connection)
    await cursor.execute(sql.encode(), asked.parameters, prepare=True)
    return cursor


async def _read(served: Postgres, sql: str) -> Read:
    """Read a statement off the loop: the worst of them keep the parser busy for a while, and others wait for it too."""
    return await asyncio.to_thread(read, sql, served.policy.tables, may_write=not served.policy.deny_mutation_keywords)


def _structured(answer: dict[str, Any]) -> Answer:
    return Answer(json.dumps(answer, ensure_ascii=False, separators=(",", ":")), answer)


def _longest(served: Postgres) -> float:
    """How long a call may take in all: waiting for a connection, connecting, the statement."""
    return CONNECTING + served.config.statement_timeout_seconds + 2 * PATIENCE


def _told(error: psycopg.Error, served: Postgres) -> str:
    """Return what PostgreSQL said of a statement. Its own words are about that; ours, of the client, may be of more."""
    if error.sqlstate == CANCELLED:
        seconds = served.config.statement_timeout_seconds
        return f"PostgreSQL cancelled the statement ({CANCELLED}): it took longer than {seconds} s."
    said = error.diag.message_primary
    if error.sqlstate is None or said is None or served.secrets["database_url_secret"] in said:
        return f"The database failed ({type(error).__name__})."
    return f"PostgreSQL refused the statement ({error.sqlstate}): {said}"
