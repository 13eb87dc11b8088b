"""Runs the tools of `postgres`.

Parsing is the first wall and the rights of the database's role the second; between them every statement runs in a
transaction of its own, read-only unless it writes and may, with timeouts, and with `pg_catalog` as its whole search
path: tables are named with their schema before they get here, so no function, operator or cast that somebody put into
`public` is ever found. Nor are those of extensions, and what a trigger or a function behind a view does has to name its
schemas or set a path of its own, as PostgreSQL asks of what its own maintenance runs.
"""
