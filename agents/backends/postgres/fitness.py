"""Whether a database's role has as few rights as a deployment may have. Asked when deploying."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agents.backends.base import Unfit
from agents.backends.postgres.catalog import READABLE_KINDS, tables
from agents.backends.postgres.lines import Connection
from agents.mcp.postgres.tables import Table
from agents.mcp.postgres.template import PostgresPolicy

OLDEST = 130_000
SHOWN = 5  # names in one message
FIX = "CREATE ROLE … LOGIN; GRANT USAGE ON SCHEMA …; GRANT SELECT ON … for each allowed table."

# Rights of a role, by how a message names them. Whoever is a member of a role can become it.
POWERS = """
    SELECT r.rolname::text, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolreplication
    FROM pg_roles r
    WHERE pg_has_role(current_user, r.oid, 'MEMBER')
      AND (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication OR r.rolname LIKE 'pg\\_%')
    ORDER BY r.rolsuper DESC, r.rolbypassrls DESC, r.rolcreaterole DESC, r.rolreplication DESC, r.rolname
"""
POWER_NAMES = ("SUPERUSER", "BYPASSRLS", "CREATEROLE", "REPLICATION")

RIGHTS = f"""
    SELECT n.nspname::text, c.relname::text,
           has_any_column_privilege(c.oid, 'SELECT'),
           has_table_privilege(c.oid, 'DELETE, TRUNCATE') OR has_any_column_privilege(c.oid, 'INSERT, UPDATE')
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE {READABLE_KINDS} AND has_schema_privilege(n.oid, 'USAGE')
      AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
    ORDER BY 1, 2
"""  # noqa: S608 - made of constants


async def judge(connection: Connection, policy: PostgresPolicy) -> list[str]:
    """Return warnings about the role of this connection and the listed tables. Raises `Unfit`."""
    if connection.info.server_version < OLDEST:
        raise Unfit("connect", "The server is older than PostgreSQL 13.")
    await _refuse_powers(connection)
    rights = await (await connection.execute(RIGHTS)).fetchall()
    readable = {Table(schema, name) for schema, name, reads, _ in rights if reads}
    writable = {Table(schema, name) for schema, name, _, writes in rights if writes}
    _refuse_writing(writable, policy)
    return await _warnings_of_tables(connection, policy, readable)


async def _refuse_powers(connection: Connection) -> None:
    powers = await (await connection.execute(POWERS)).fetchall()
    if not powers:
        return
    name, *has = powers[0]
    held = [power for power, is_held in zip(POWER_NAMES, has, strict=True) if is_held] or [f"a member of {name}"]
    words = f"The database's user is, or may become, {' and '.join(held)}. Use one that only has what it needs: {FIX}"
    raise Unfit("role", words)


def _refuse_writing(writable: set[Table], policy: PostgresPolicy) -> None:
    if policy.deny_mutation_keywords and writable:
        words = (
            f"The database's user may write to {_named(writable)}, and the policy is to read only. "
            f"Revoke INSERT, UPDATE, DELETE and TRUNCATE, or use another: {FIX}"
        )
        raise Unfit("role", words)
    if unlisted := writable - policy.tables:
        words = (
            f"The database's user may write to {_named(unlisted)}, not among allowed_tables. Revoke that, or list them."
        )
        raise Unfit("role", words)


async def _warnings_of_tables(connection: Connection, policy: PostgresPolicy, readable: set[Table]) -> list[str]:
    found = {Table(one["schema"], one["name"]): one["kind"] for one in await tables(connection, policy.tables)}
    if missing := policy.tables - found.keys():
        words = (
            f"The database has no {_named(missing)}. Correct allowed_tables; names fold to lower case unless quoted."
        )
        raise Unfit("allowed_tables", words)
    if closed := {table for table in policy.tables - readable if not table.schema.startswith(("pg_", "information_"))}:
        raise Unfit("allowed_tables", f"The database's user may not read {_named(closed)}. Grant SELECT on it.")
    indirect = [table for table, kind in found.items() if kind in {"view", "materialized view", "foreign table"}]
    told = {
        "allowed_tables is empty, so no table can be read.": not policy.tables,
        f"Views and foreign tables show whatever they read: {_named(indirect)}.": indirect,
        f"The database's user can also read tables that are not listed: {_named(readable - policy.tables)}.": (
            readable - policy.tables
        ),
    }
    return [words for words, is_so in told.items() if is_so]


def _named(some: Iterable[Table]) -> str:
    names: Sequence[str] = sorted(map(str, some))
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
