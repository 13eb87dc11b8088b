"""Deployments of `postgres` on a real server, mostly as a role that may do everything: the policy alone stops it."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings

from agents.backends.base import Answer, Served
from agents.backends.postgres import lines
from agents.backends.postgres.backend import PostgresBackend
from agents.backends.postgres.connections import MOST, Connections
from agents.backends.postgres.lines import cut_after
from agents.mcp.catalog import TEMPLATES
from agents.mcp.postgres.functions import FUNCTIONS, is_hidden_call
from agents.mcp.postgres.template import ExplainArguments, PostgresConfig, PostgresPolicy, QueryArguments
from agents.mcp.template import Allow, Call, Deny
from tests.shop import Shop
from tests.sql import CANARY, GOOD, HOSTILE, HOSTILE_WRITES, WRITES, cases
from tests.sql_trees import Query, queries
from tests.waiting import eventually

pytestmark = pytest.mark.once

Of = Served[PostgresConfig, PostgresPolicy]
POSTGRES = TEMPLATES["postgres"]


@pytest_asyncio.fixture
async def backend() -> AsyncIterator[PostgresBackend]:
    made = PostgresBackend()
    yield made
    await made.close()


async def call(backend: PostgresBackend, served: Of, name: str, **arguments: Any) -> Answer:
    """Call a tool as the fleet does: the policy first."""
    tool = POSTGRES.tool(name)
    assert tool is not None
    asked = Call(name, tool.arguments(**arguments))
    decision = POSTGRES.decide(asked, served.config, served.policy)
    if isinstance(decision, Deny):
        return Answer(f"{decision.rule}: {decision.reason}", is_error=True)
    return await backend.call(served, asked)


async def rows_of(backend: PostgresBackend, served: Of, sql: str, *parameters: Any) -> list[list[Any]]:
    answer = await call(backend, served, "query", sql=sql, parameters=list(parameters))
    assert not answer.is_error, f"{sql}: {answer.text}"
    assert answer.structured == json.loads(answer.text)
    rows: list[list[Any]] = json.loads(answer.text)["rows"]
    return rows


# --- A role that may do everything


async def test_nothing_hostile_leaks_or_changes_anything(backend: PostgresBackend, shop: Shop) -> None:
    before, served = shop.contents(), shop.served("postgres", statement_timeout_seconds=2)
    for rule, sql in cases(HOSTILE):
        if "\ud800" in sql:
            continue  # no JSON brings it here
        answer = await call(backend, served, "query", sql=sql)
        assert answer.is_error, sql
        assert answer.text.startswith(f"{rule}: ")
        assert CANARY not in answer.text
    writing = shop.served("postgres", deny_mutation_keywords=False)
    for rule, sql in cases(HOSTILE_WRITES):
        answer = await call(backend, writing, "query", sql=sql)
        assert answer.text.startswith(f"{rule}: "), sql
    assert shop.contents() == before


async def test_the_backend_reads_every_statement_itself(backend: PostgresBackend, shop: Shop) -> None:
    for sql in ("SELECT * FROM secrets", "SELECT told()", "DROP TABLE metrics", "SELECT 1; SELECT 2"):
        answer = await backend.call(shop.served("postgres"), Call("query", QueryArguments(sql=sql)))
        assert answer.is_error
        assert CANARY not in answer.text


LEAKS = [
    "SELECT query_to_xml('select word from secrets', true, true, '')::text",
    "SELECT told()",
    "SELECT m.told_of FROM metrics m",
    "SELECT ('select to_tsvector(word) from secrets'::text).ts_stat::text",
    "SELECT f.ts_stat::text FROM unnest(ARRAY['select to_tsvector(word) from secrets']) AS f(x)",
    "SELECT lower(name) FROM metrics",
    "SELECT name || 1 FROM metrics",
    "SELECT 1 === 1",
    "SELECT public.lower(name) FROM metrics",
    "SELECT string_agg(most_common_vals::text, '') || (SELECT word FROM secrets) FROM pg_stats",
    "WITH a AS (SELECT word FROM secrets), secrets AS (SELECT 1) SELECT * FROM a",
]


@pytest.mark.parametrize("sql", LEAKS)
async def test_what_leaks_in_a_read_only_transaction_does_not_through_the_template(
    backend: PostgresBackend, shop: Shop, sql: str
) -> None:
    with shop.connect() as connection:
        connection.execute("BEGIN READ ONLY")
        told = str(connection.execute(sql.encode()).fetchall())
        assert CANARY in told or "canari" in told  # as ts_stat spells it
    answer = await call(backend, shop.served("postgres"), "query", sql=sql)
    assert "canar" not in answer.text


async def test_a_role_whose_strings_end_elsewhere_is_read_as_the_parser_read_it(
    backend: PostgresBackend, shop: Shop
) -> None:
    sql = r"SELECT '\' AS a, ' AS b UNION ALL SELECT word FROM secrets --' AS c"
    with shop.connect("careless") as connection:
        assert CANARY in str(connection.execute(sql.encode()).fetchall())
    (row,) = await rows_of(backend, shop.served("careless"), sql)
    assert row == ["\\", " AS b UNION ALL SELECT word FROM secrets --"]


CALLABLE_BEHIND_A_DOT = """
    SELECT DISTINCT proname::text FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND pronargs > 0 AND pronargs - pronargdefaults <= 1
      AND NOT 'internal'::regtype = ANY (proargtypes)
      AND (provolatile <> 'i' OR format_type(prorettype, NULL) || format_type(proargtypes[0], NULL) ~ '(reg|acl)')
"""
PURE_ENOUGH = re.compile(
    r".*(_out|_send)|(bpchar|name|text|varchar)send|(cash|date|xml)_in|enum_\w+|money|format|xml\w*"
)


async def test_what_this_server_would_call_behind_a_dot_is_known(shop: Shop) -> None:
    """All that take one argument and are not pure, or are of a type that looks names up."""
    found = {name for (name,) in shop.ask(CALLABLE_BEHIND_A_DOT)}
    assert len(found) > 100
    assert not {name for name in found - FUNCTIONS if not is_hidden_call(name) and not PURE_ENOUGH.fullmatch(name)}


# --- What works


async def test_every_honest_question_is_answered_and_tells_nothing_else(backend: PostgresBackend, shop: Shop) -> None:
    for user in ("postgres", "reader"):
        served = shop.served(user)
        for sql in GOOD:
            answer = await call(backend, served, "query", sql=sql)
            assert not answer.is_error, f"{sql}: {answer.text}"
            assert CANARY not in answer.text


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=queries())
async def test_the_server_finds_no_table_that_the_walk_did_not(
    backend: PostgresBackend, shop: Shop, query: Query
) -> None:
    """The role may read the allowed tables only, so whatever slips through would be refused by the server."""
    served = shop.served("reader")
    asked = Call("explain", ExplainArguments(sql=query.sql))
    if isinstance(POSTGRES.decide(asked, served.config, served.policy), Allow):
        answer = await backend.call(served, asked)
        assert "42501" not in answer.text, query.sql


async def test_rows_come_with_their_types(backend: PostgresBackend, shop: Shop) -> None:
    answer = await call(backend, shop.served("reader"), "query", sql="SELECT * FROM metrics ORDER BY id")
    assert answer.structured is not None
    assert answer.structured["columns"] == [
        {"name": "id", "type": "int4"},
        {"name": "name", "type": "varchar(80)"},
        {"name": "value", "type": "numeric(12,3)"},
        {"name": "at", "type": "timestamptz"},
        {"name": "tags", "type": "text[]"},
        {"name": "doc", "type": "jsonb"},
        {"name": "raw", "type": "bytea"},
    ]
    first, second, third = answer.structured["rows"]
    assert first[:3] == [1, "cpu", "0.500"]
    assert first[3].startswith("2026-01-02 ")
    assert first[4:] == [["a", None], {"n": [1, None]}, "\\x00ff"]
    assert second == [2, "disk", "12.250", None, [], None, None]
    assert third == [3, None, "NaN", "infinity", None, None, "\\x"]
    assert answer.structured["truncated"] is False
    assert json.loads(answer.text) == answer.structured


async def test_values_of_every_kind_are_json(backend: PostgresBackend, shop: Shop) -> None:
    sql = """SELECT true, 9007199254740993, 1.5::float8, 'NaN'::float8, '{1.5,NULL}'::numeric[], '{{1,2},{3,4}}'::int[],
        interval '1 day 2 hours', date '2026-02-01', time '03:04', '[1,3)'::int4range, '10.0.0.1'::inet, 'a'::bytea,
        '{"a": "\\u00e9"}'::json, gen_random_uuid() IS NULL, ROW(1, 'x'), $$it's$$, '0044-03-15 BC'::date"""
    (row,) = await rows_of(backend, shop.served("reader"), sql)
    assert row[:6] == [True, 9007199254740993, 1.5, "NaN", ["1.5", None], [[1, 2], [3, 4]]]
    assert row[6:12] == ["1 day 02:00:00", "2026-02-01", "03:04:00", "[1,3)", "10.0.0.1", "\\x61"]
    assert row[12:14] == [{"a": "é"}, False]
    assert row[15:] == ["it's", "0044-03-15 BC"]


async def test_parameters_keep_their_types(backend: PostgresBackend, shop: Shop) -> None:
    served = shop.served("reader")
    sql = "SELECT id FROM metrics WHERE id = $1 AND name = $2 AND value > $3 AND at < $4 AND $5 AND $6::text IS NULL"
    assert await rows_of(backend, served, sql, 1, "cpu", 0.1, "2027-01-01", True, None) == [[1]]
    assert await rows_of(backend, served, "SELECT id FROM metrics WHERE name = $1", "' OR true --") == []
    answer = await call(backend, served, "query", sql="SELECT $2::int", parameters=[1])
    assert answer.is_error


@pytest.mark.parametrize(
    "document", ["[" * 100 + "]" * 100, "[" * 3000 + "]" * 3000, "[1e999]", "1" * 5000, '["\\ud800"]']
)
async def test_a_document_that_no_answer_can_carry_is_shown_as_its_text(
    backend: PostgresBackend, shop: Shop, document: str
) -> None:
    assert await rows_of(backend, shop.served("reader"), "SELECT $1::json", document) == [[document]]
    beside = '{"a": [[[{"b": "\\u00e9"}]]]}'
    assert await rows_of(backend, shop.served("reader"), "SELECT $1::json", beside) == [[json.loads(beside)]]


async def test_no_rows_still_have_columns(backend: PostgresBackend, shop: Shop) -> None:
    answer = await call(backend, shop.served("reader"), "query", sql="SELECT id FROM metrics WHERE false")
    assert answer.structured is not None
    assert answer.structured["columns"] == [{"name": "id", "type": "int4"}]
    assert answer.structured["row_count"] == 0


# --- Limits


async def test_more_rows_than_the_limit_are_cut_with_a_note(backend: PostgresBackend, shop: Shop) -> None:
    served = shop.served("reader", row_limit=10)
    many = ", ".join(f"events {name}" for name in "abcdefg")  # more than could ever be counted
    answer = await call(backend, served, "query", sql=f"SELECT a.id FROM {many}")  # noqa: S608 - a constant
    assert answer.structured is not None
    assert answer.structured["row_count"] == len(answer.structured["rows"]) == 10
    assert answer.structured["truncated"] is True
    assert answer.structured["note"].startswith("Only the first 10 rows are shown (row_limit).")
    exact = await call(backend, served, "query", sql="SELECT n FROM generate_series(1, 10) n")
    assert exact.structured is not None
    assert exact.structured["truncated"] is False


async def test_more_bytes_than_the_limit_are_cut_with_a_note(backend: PostgresBackend, shop: Shop) -> None:
    served = shop.served("reader", result_bytes=2000)
    sql = "SELECT array_to_string(array_agg(i), '') FROM generate_series(1, 5) n, generate_series(1, 200) i GROUP BY n"
    answer = await call(backend, served, "query", sql=sql)
    assert answer.structured is not None
    assert answer.structured["row_count"] == 4
    assert "result_bytes" in answer.structured["note"]
    (row,) = await rows_of(backend, shop.served("reader"), "SELECT string_agg('x', '') FROM generate_series(1, 20000)")
    assert row[0].endswith("… (cut, 20000 characters in all)")


async def test_a_statement_that_takes_too_long_is_cancelled(backend: PostgresBackend, shop: Shop) -> None:
    served = shop.served("reader", statement_timeout_seconds=1)
    sql = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b WHERE a <> b"
    answer = await call(backend, served, "query", sql=sql)
    assert answer == Answer("PostgreSQL cancelled the statement (57014): it took longer than 1 s.", is_error=True)
    assert await rows_of(backend, served, "SELECT 1") == [[1]]


HUNDRED = "x" * 100
HUGE = f"replace(replace(replace('{HUNDRED}', 'x', '{HUNDRED}'), 'x', '{HUNDRED}'), 'x', '{HUNDRED}')"
ASKED = ["SELECT ", "INSERT INTO events (id) VALUES (7000) RETURNING "]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts what a connection received")
@pytest.mark.parametrize("sql", [before + HUGE for before in ASKED], ids=["reading", "writing"])
@pytest.mark.parametrize("look", [lines.LOOK, 60], ids=["while it comes", "when it has come"])
async def test_a_value_too_large_to_hold_is_cut_and_nothing_is_written(
    shop: Shop, sql: str, look: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "LOOK", look)
    backend = PostgresBackend(Connections(most=1024 * 1024))
    served = shop.served("writer", deny_mutation_keywords=False)
    answer = await call(backend, served, "query", sql=sql)
    assert answer == Answer("The database sent more than can be held. Ask for fewer or shorter values.", is_error=True)
    assert shop.ask("SELECT count(*) FROM events WHERE id = 7000") == [(0,)]
    assert await rows_of(backend, served, "SELECT 1") == [[1]]
    await backend.close()


async def test_a_connection_that_hangs_is_cut(shop: Shop) -> None:
    """Whatever the server does about it: this one goes on sleeping until its own timeout."""
    connections = Connections()

    async def hang() -> None:
        async with connections.transaction(shop.served("postgres", statement_timeout_seconds=1)) as connection:
            with cut_after(0.1, connection):
                await connection.execute("SELECT pg_sleep(20)")

    with pytest.raises(psycopg.OperationalError):
        await hang()
    await connections.close()


# --- Writing


async def test_writing_is_kept_and_told(backend: PostgresBackend, shop: Shop) -> None:
    served = shop.served("writer", deny_mutation_keywords=False)
    for sql in WRITES:
        answer = await call(backend, served, "query", sql=sql)
        if "sales.orders DEFAULT" in sql:
            assert "23502" in answer.text
            continue
        assert not answer.is_error, f"{sql}: {answer.text}"
    answer = await call(
        backend, served, "query", sql="UPDATE events SET note = $1 WHERE id = 5 RETURNING id, note", parameters=["new"]
    )
    assert answer.structured is not None
    assert answer.structured["rows"] == [[5, "new"]]
    assert answer.structured["note"] == "Rows written: 1."
    assert shop.ask("SELECT note FROM events WHERE id = 5") == [("new",)]
    assert shop.ask("SELECT parts FROM sales.orders WHERE id = 1") == [([5, 2],)]


async def test_a_write_that_fails_leaves_nothing(backend: PostgresBackend, shop: Shop) -> None:
    served = shop.served("writer", deny_mutation_keywords=False)
    sql = "INSERT INTO events (id) VALUES (900), (901), (6)"
    answer = await call(backend, served, "query", sql=sql)
    assert answer.is_error
    assert "23505" in answer.text
    assert shop.ask("SELECT count(*) FROM events WHERE id >= 900 AND id < 1000") == [(0,)]


async def test_what_only_reads_may_not_write_even_where_writing_is_allowed(
    backend: PostgresBackend, shop: Shop
) -> None:
    with shop.connect() as connection:
        connection.execute(
            "CREATE TABLE log (a int); CREATE FUNCTION logged() RETURNS int LANGUAGE sql AS "
            "'INSERT INTO public.log VALUES (1) RETURNING a'; CREATE VIEW logging AS SELECT logged() AS a"
        )
    served = shop.served("postgres", deny_mutation_keywords=False, allowed_tables=["logging"])
    answer = await call(backend, served, "query", sql="SELECT * FROM logging")
    assert answer.is_error
    assert "25006" in answer.text
    assert shop.ask("SELECT count(*) FROM log") == [(0,)]


# --- The other tools


PLAIN = {"not_null": False, "has_default": False, "in_primary_key": False, "comment": None}


async def test_only_allowed_tables_are_listed_and_described(backend: PostgresBackend, shop: Shop) -> None:
    served = shop.served("reader")
    listed = await call(backend, served, "list_tables")
    assert listed.structured is not None
    found = {f"{one['schema']}.{one['name']}": one["kind"] for one in listed.structured["tables"]}
    assert found == {
        "public.Odd Name": "table",
        "public.events": "table",
        "public.metrics": "table",
        "public.summary": "view",
        "sales.orders": "table",
    }
    described = await call(backend, served, "describe_table", table="Metrics")
    assert described.structured is not None
    assert described.structured["comment"] == "What was measured."
    assert described.structured["columns"][:2] == [
        {**PLAIN, "name": "id", "type": "integer", "not_null": True, "in_primary_key": True},
        {**PLAIN, "name": "name", "type": "character varying(80)"},
    ]
    assert described.structured["indexes"] == ["CREATE UNIQUE INDEX metrics_pkey ON public.metrics USING btree (id)"]
    assert (await call(backend, served, "describe_table", table="secrets")).text.startswith("allowed_tables: ")
    gone = shop.served("reader", allowed_tables=["gone"])
    assert (await call(backend, gone, "describe_table", table="gone")).is_error


async def test_plans_are_shown_and_analyze_runs_what_reads(backend: PostgresBackend, shop: Shop) -> None:
    served = shop.served("writer", deny_mutation_keywords=False)
    plan = await call(backend, served, "explain", sql="SELECT * FROM events WHERE id = $1", parameters=[1])
    assert "events" in plan.text
    assert "actual" not in plan.text
    ran = await call(backend, served, "explain", sql="SELECT count(*) FROM events", analyze=True)
    assert "actual time" in ran.text
    before = shop.contents()
    write = "DELETE FROM events"
    assert "Delete on" in (await call(backend, served, "explain", sql=write)).text
    denied = await call(backend, served, "explain", sql=write, analyze=True)
    assert denied.text.startswith("deny_mutation_keywords: ")
    assert shop.contents() == before


# --- Connections


def open_connections(shop: Shop) -> int:
    ((count,),) = shop.ask(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'powerloom' AND datname = current_database()"
    )
    assert isinstance(count, int)
    return count


async def until_open(shop: Shop, wanted: int) -> None:
    """Wait for so many connections: the server learns of an end a little later."""

    async def there() -> bool:
        return open_connections(shop) == wanted

    await eventually(there, what=f"{wanted} open connections")


async def test_a_deployment_has_few_connections_and_keeps_them(backend: PostgresBackend, shop: Shop) -> None:
    await until_open(shop, 0)
    served = shop.served("reader")
    await asyncio.gather(*(rows_of(backend, served, "SELECT count(*) FROM events") for _ in range(20)))
    assert 1 <= open_connections(shop) <= MOST
    await backend.close()
    await until_open(shop, 0)


async def test_a_new_secret_is_used_at_once(backend: PostgresBackend, shop: Shop) -> None:
    old = shop.served("snoop")
    assert await rows_of(backend, old, "SELECT 1") == [[1]]
    new = shop.served("blind", id_=old.deployment_id)
    answer = await call(backend, new, "query", sql="SELECT * FROM metrics")
    assert "42501" in answer.text
    await until_open(shop, 0)  # the new one went with its error


async def test_a_connection_that_died_is_replaced(backend: PostgresBackend, shop: Shop) -> None:
    served = shop.served("reader")
    await rows_of(backend, served, "SELECT 1")
    shop.ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'reader'")
    assert await rows_of(backend, served, "SELECT 2") == [[2]]


async def test_idle_connections_are_closed(shop: Shop) -> None:
    await until_open(shop, 0)
    connections = Connections(kept=0.0)
    async with connections.transaction(shop.served("reader")):
        assert open_connections(shop) == 1
    await until_open(shop, 0)
    await connections.close()
