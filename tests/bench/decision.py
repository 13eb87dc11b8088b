"""What the policy of `postgres` costs: a whole decision against the grammar's bare parse of the same statement.

The bare parse is postgast's own, which makes no more than the tree. Both run on the thread with the large stack, since
no statement of a stranger may be parsed on another: the hand-over to it, some microseconds, is in both. They are
measured turn by turn, so that whatever else the machine does hits both alike.
"""

import time
from collections.abc import Callable
from statistics import median

import postgast

from agents.mcp.postgres.grammar import on_grammar_thread
from agents.mcp.postgres.template import PostgresConfig, PostgresPolicy, PostgresTemplate, QueryArguments
from agents.mcp.template import Allow, Call
from tests.bench.measure import Ratio, measured

TIMES = 2000
LIMIT = 2.0

REPORT = """
WITH recent AS (
    SELECT o.customer_id, sum(o.total) AS total, count(*) AS orders
    FROM sales.orders o WHERE o.created_at > now() - interval '30 days' GROUP BY o.customer_id
)
SELECT c.name, r.total, rank() OVER (ORDER BY r.total DESC) AS place, x.last
FROM recent r
JOIN public.customers c ON c.id = r.customer_id
LEFT JOIN LATERAL (SELECT max(p.paid_at) AS last FROM payments p WHERE p.customer_id = c.id) x ON true
WHERE c.country IN ('DE', 'FR') AND r.total > 100 AND NOT EXISTS (SELECT 1 FROM bans b WHERE b.customer_id = c.id)
ORDER BY r.total DESC LIMIT 50
"""
STATEMENTS = {
    "a constant": "SELECT 1",
    "a lookup": "SELECT id, name, country FROM customers WHERE id = $1 AND country = 'DE' ORDER BY name LIMIT 10",
    "a report": REPORT,
    "fifteen reports": " UNION ALL ".join([f"({REPORT})"] * 15),
}
POLICY = PostgresPolicy(allowed_tables=["customers", "payments", "bans", "sales.orders"])


@measured
def decision() -> list[Ratio]:
    return [_compared(name, sql) for name, sql in STATEMENTS.items()]


def _compared(name: str, sql: str) -> Ratio:
    template, config = PostgresTemplate(), PostgresConfig(database_url_secret="bench")
    call = Call("query", QueryArguments(sql=sql))
    assert template.decide(call, config, POLICY) == Allow()
    bare, whole = _in_turns(
        lambda: on_grammar_thread(postgast.parse, sql),
        lambda: template.decide(call, config, POLICY),
        times=max(100, TIMES * 100 // (100 + len(sql))),
    )
    told = f"{whole * 1e6:.0f} µs to {bare * 1e6:.0f} µs"
    return Ratio(f"a decision on {name}, to its bare parse", whole / bare, at_most=LIMIT, told=told)


def _in_turns(*acts: Callable[[], object], times: int) -> tuple[float, ...]:
    """Return the median seconds of each act."""
    seconds: list[list[float]] = [[] for _ in acts]
    for _ in range(times):
        for act, measured_so_far in zip(acts, seconds, strict=True):
            start = time.perf_counter()
            act()
            measured_so_far.append(time.perf_counter() - start)
    return tuple(map(median, seconds))
