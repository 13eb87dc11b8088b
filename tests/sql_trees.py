"""Random questions to a database, and which tables each touches: said by whoever builds them, not by reading them."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

TABLES = ["metrics", "events", "sales.orders", "secrets", "sales.secrets", "leak", "pg_catalog.pg_authid"]
NAMES = ["a", "b", "secrets", "metrics", "leak", "Secrets"]  # of common table expressions; some hide a table


@dataclass(frozen=True)
class Query:
    """A query of one column `x`, and the tables that it touches."""

    sql: str
    touched: frozenset[str]


@st.composite
def queries(draw: st.DrawFn, depth: int = 3, scope: frozenset[str] = frozenset(), *, plain: bool = False) -> Query:
    """Return a query in whose sight are common table expressions of these names; a plain one brings none itself."""
    if depth and not plain and draw(st.integers(0, 2)) == 0:
        return draw(_with(depth - 1, scope))
    source = draw(_sources(depth, scope))
    parts = [source]
    sql = f"SELECT 1 AS x FROM {source.sql}"  # noqa: S608 - that is what this module is for
    if depth:
        inner = draw(queries(depth - 1, scope))
        kind = draw(st.integers(0, 7))
        if kind < len(AROUND):
            sql = AROUND[kind].format(sql=sql, source=source.sql, inner=inner.sql)
            parts.append(inner)
    return Query(sql, frozenset().union(*(part.touched for part in parts)))


AROUND = [
    "SELECT ({inner} LIMIT 1) AS x FROM {source}",
    "{sql} WHERE EXISTS ({inner})",
    "{sql} WHERE 1 IN ({inner})",
    "({sql}) UNION ALL ({inner})",
    "{sql} ORDER BY ({inner} LIMIT 1)",
    "SELECT coalesce(max(1), ({inner} LIMIT 1)) AS x FROM {source}",
]


@st.composite
def _sources(draw: st.DrawFn, depth: int, scope: frozenset[str]) -> Query:
    """Return something to read from: a table, a name in sight, a subquery, a join."""
    kind = draw(st.integers(0, 5)) if depth else draw(st.integers(0, 2))
    if kind <= 1 or (kind == 2 and not scope):
        table = draw(st.sampled_from(TABLES))
        return Query(f"{table} t", frozenset() if table in scope else frozenset({table}))
    if kind == 2:
        return Query(f'"{draw(st.sampled_from(sorted(scope)))}" c', frozenset())
    left, right = draw(queries(depth - 1, scope)), draw(queries(depth - 1, scope))
    if kind == 3:
        return Query(f"({left.sql}) s", left.touched)
    join = draw(st.sampled_from(["CROSS JOIN LATERAL ({}) r", "LEFT JOIN ({}) r ON true", "NATURAL JOIN ({}) r"]))
    return Query(f"({left.sql}) l {join.format(right.sql)}", left.touched | right.touched)


@st.composite
def _with(draw: st.DrawFn, depth: int, scope: frozenset[str]) -> Query:
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    is_recursive = draw(st.booleans())
    seen = scope | frozenset(names) if is_recursive else scope
    expressions, touched = [], frozenset[str]()
    for name in names:
        inner = draw(queries(depth, seen))
        expressions.append(f'"{name}" AS ({inner.sql})')
        touched |= inner.touched
        seen |= {name}
    body = draw(queries(depth, seen, plain=True))
    word = "WITH RECURSIVE" if is_recursive else "WITH"
    return Query(f"{word} {', '.join(expressions)} {body.sql}", touched | body.touched)
