"""What PostgreSQL's catalog says of allowed tables. The statements are ours, so they may read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any  # rows of the catalog, as JSON

from agents.backends.postgres.lines import Connection
from agents.mcp.postgres.tables import Table

KIND = """CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view'
          WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' END"""
READABLE_KINDS = "c.relkind IN ('r', 'p', 'v', 'm', 'f')"

TABLES = f"""
    SELECT n.nspname::text, c.relname::text, {KIND}, obj_description(c.oid, 'pg_class'), greatest(c.reltuples, 0)::int8
    FROM unnest(%s::text[], %s::text[]) AS listed(nspname, relname)
    JOIN pg_namespace n ON n.nspname = listed.nspname
    JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = listed.relname
    WHERE {READABLE_KINDS}
    ORDER BY 1, 2
"""  # noqa: S608 - made of constants

COLUMNS = f"""
    SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.atthasdef,
           coalesce(a.attnum = ANY (i.indkey), false), col_description(c.oid, a.attnum)
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary
    WHERE n.nspname = %s AND c.relname = %s AND {READABLE_KINDS} AND has_column_privilege(c.oid, a.attnum, 'SELECT')
    ORDER BY a.attnum
"""  # noqa: S608 - made of constants

INDEXES = """
    SELECT pg_get_indexdef(i.indexrelid)
    FROM pg_index i
    JOIN pg_class c ON c.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s
    ORDER BY 1
"""


async def tables(connection: Connection, listed: Iterable[Table]) -> list[dict[str, Any]]:
    """Return those of the listed tables that exist, by name."""
    pairs = sorted(listed)
    found = await connection.execute(TABLES, [[table.schema for table in pairs], [table.name for table in pairs]])
    names = ("schema", "name", "kind", "comment", "estimated_rows")
    return [dict(zip(names, row, strict=True)) for row in await found.fetchall()]


async def description(connection: Connection, table: Table) -> dict[str, Any] | None:
    """Return kind, columns and indexes of a table, or nothing when there is none of this name."""
    head = await tables(connection, [table])
    if not head:
        return None
    columns = await (await connection.execute(COLUMNS, table)).fetchall()
    indexes = await (await connection.execute(INDEXES, table)).fetchall()
    names = ("name", "type", "not_null", "has_default", "in_primary_key", "comment")
    return {
        "table": str(table),
        "kind": head[0]["kind"],
        "comment": head[0]["comment"],
        "columns": [dict(zip(names, row, strict=True)) for row in columns],
        "indexes": [row[0] for row in indexes],
    }
