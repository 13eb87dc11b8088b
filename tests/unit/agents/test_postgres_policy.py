"""What the policy of `postgres` says of a statement, from its text alone."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from agents.mcp.postgres.functions import FUNCTIONS, is_hidden_call
from agents.mcp.postgres.grammar import LONGEST, Refused, on_grammar_thread, parse
from agents.mcp.postgres.statements import read
from agents.mcp.postgres.tables import Table, table_of
from agents.mcp.postgres.template import (
    DescribeTableArguments,
    ExplainArguments,
    ListTablesArguments,
    PostgresConfig,
    PostgresPolicy,
    PostgresTemplate,
    QueryArguments,
)
from agents.mcp.template import Allow, Call, Deny, SecretReference, Settings
from tests.sql import ALLOWED, GOOD, HOSTILE, HOSTILE_WRITES, WRITES, cases
from tests.sql_trees import Query, queries

POSTGRES = PostgresTemplate()
CONFIG = PostgresConfig(database_url_secret="shop")
READING = PostgresPolicy(allowed_tables=ALLOWED)
WRITING = PostgresPolicy(allowed_tables=ALLOWED, deny_mutation_keywords=False)


def rule_of(arguments: Settings, policy: PostgresPolicy = READING) -> str:
    decision = POSTGRES.decide(Call("query", arguments), CONFIG, policy)
    return decision.rule if isinstance(decision, Deny) else "allowed"


def asked(sql: str) -> QueryArguments:
    return QueryArguments.model_construct(sql=sql, parameters=[])  # a lone surrogate does not pass validation


# --- The tables


@pytest.mark.parametrize(("rule", "sql"), cases(HOSTILE))
def test_a_hostile_statement_is_denied_by_its_rule(rule: str, sql: str) -> None:
    assert rule_of(asked(sql)) == rule


@pytest.mark.parametrize(("rule", "sql"), [case for case in cases(HOSTILE) if case[0] != "deny_mutation_keywords"])
def test_it_is_denied_as_well_where_writing_is_allowed(rule: str, sql: str) -> None:
    assert rule_of(asked(sql), WRITING) == rule


@pytest.mark.parametrize("sql", GOOD)
def test_an_honest_question_is_allowed(sql: str) -> None:
    assert rule_of(asked(sql)) == rule_of(asked(sql), WRITING) == "allowed"


@pytest.mark.parametrize("sql", WRITES)
def test_writing_to_allowed_tables_is_for_the_policy_to_allow(sql: str) -> None:
    assert rule_of(asked(sql)) == "deny_mutation_keywords"
    assert rule_of(asked(sql), WRITING) == "allowed"
    assert read(sql, WRITING.tables, may_write=True).writes


@pytest.mark.parametrize(("rule", "sql"), cases(HOSTILE_WRITES))
def test_where_writing_is_allowed_it_is_to_allowed_tables_only(rule: str, sql: str) -> None:
    assert rule_of(asked(sql), WRITING) == rule


def test_a_denial_names_the_table() -> None:
    decision = POSTGRES.decide(Call("query", asked("SELECT * FROM metrics, sales.hidden")), CONFIG, READING)
    assert decision == Deny("allowed_tables", "The table sales.hidden is not among this deployment's allowed_tables.")


def test_nothing_is_listed_until_somebody_lists_it() -> None:
    assert rule_of(asked("SELECT * FROM metrics"), PostgresPolicy()) == "allowed_tables"
    assert rule_of(asked("SELECT 1"), PostgresPolicy()) == "allowed"
    assert rule_of(asked("DELETE FROM metrics"), PostgresPolicy()) == "deny_mutation_keywords"


def test_a_catalog_can_be_listed_like_a_table() -> None:
    policy = PostgresPolicy(allowed_tables=["pg_class", "information_schema.tables"])
    assert rule_of(asked("SELECT relname FROM pg_catalog.pg_class"), policy) == "allowed"
    assert rule_of(asked("SELECT * FROM information_schema.tables"), policy) == "allowed"
    assert rule_of(asked("SELECT * FROM pg_authid"), policy) == "allowed_tables"


# --- The other tools


def test_only_an_allowed_table_is_described() -> None:
    assert rule_of(DescribeTableArguments(table="METRICS")) == "allowed"
    assert rule_of(DescribeTableArguments(table='public."Odd Name"')) == "allowed"
    assert rule_of(DescribeTableArguments(table="secrets")) == "allowed_tables"
    assert rule_of(DescribeTableArguments(table='"METRICS"')) == "allowed_tables"
    assert rule_of(DescribeTableArguments(table="pg_authid")) == "allowed_tables"
    assert rule_of(ListTablesArguments()) == "allowed"


def test_a_plan_is_as_closed_as_its_statement_and_analyze_runs_only_what_reads() -> None:
    write = "DELETE FROM events"
    assert rule_of(ExplainArguments(sql="SELECT * FROM metrics", analyze=True)) == "allowed"
    assert rule_of(ExplainArguments(sql="SELECT * FROM secrets")) == "allowed_tables"
    assert rule_of(ExplainArguments(sql=write)) == "deny_mutation_keywords"
    assert rule_of(ExplainArguments(sql=write), WRITING) == "allowed"
    assert rule_of(ExplainArguments(sql=write, analyze=True), WRITING) == "deny_mutation_keywords"


def test_tools_can_be_allowed_and_denied_by_name() -> None:
    call = Call("query", asked("SELECT 1"))
    denied = PostgresPolicy(denied_tools=["query"])
    listed = PostgresPolicy(allowed_tools=["list_tables"])
    assert POSTGRES.decide(call, CONFIG, denied) == Deny(
        "denied_tools", "The policy of this deployment denies the tool query."
    )
    assert isinstance(POSTGRES.decide(call, CONFIG, listed), Deny)


# --- Config and policy


def test_the_secret_is_of_a_kind_of_its_own() -> None:
    assert POSTGRES.secrets(CONFIG) == (SecretReference("database_url_secret", "shop", "postgres_url"),)


@pytest.mark.parametrize(
    ("listed", "means"),
    [
        ("metrics", Table("public", "metrics")),
        ("Metrics", Table("public", "metrics")),
        ("Sales.Orders", Table("sales", "orders")),
        ('"Odd Name"', Table("public", "Odd Name")),
        ('sales."a.b"', Table("sales", "a.b")),
        ('"a""b"."c"', Table('a"b', "c")),
        ("pg_class", Table("pg_catalog", "pg_class")),
    ],
)
def test_a_listed_name_means_what_it_means_in_sql(listed: str, means: Table) -> None:
    assert PostgresPolicy(allowed_tables=[listed]).tables == {means} == {table_of(listed)}


@pytest.mark.parametrize("listed", ["", "*", "sales.*", "a.b.c", "a b", '"a', "a;b", "a'b", "1a", "é", "a" * 64, '""'])
def test_what_is_no_name_cannot_be_listed(listed: str) -> None:
    with pytest.raises(ValidationError):
        PostgresPolicy(allowed_tables=[listed])


@pytest.mark.parametrize(
    "posted", [{}, {"database_url_secret": "a", "host": "b"}, {"database_url_secret": "a", "row_limit": 0}]
)
def test_config_knows_its_keys(posted: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        POSTGRES.read_config(posted)


# --- What runs is what was read


def test_tables_without_a_schema_get_theirs_and_nothing_else_changes() -> None:
    sql = "WITH m AS (SELECT 'é', * FROM metrics /* metrics */) SELECT * FROM m, ONLY \"Odd Name\" o, sales.orders"
    wanted = sql.replace("FROM metrics", "FROM public.metrics").replace('"Odd', 'public."Odd')
    assert read(sql, READING.tables, may_write=False).sql == wanted


@pytest.mark.parametrize("sql", GOOD + WRITES)
def test_naming_the_schema_is_reading_the_same(sql: str) -> None:
    once = read(sql, WRITING.tables, may_write=True)
    assert read(once.sql, WRITING.tables, may_write=True) == once
    before, after = on_grammar_thread(parse, sql), on_grammar_thread(parse, once.sql)
    assert without_places(before) == without_places(after)


def without_places(tree: Any) -> Any:
    """Return a tree without its places in the text, and without `public` where tables may say it."""
    if isinstance(tree, list):
        return [without_places(one) for one in tree]
    if not isinstance(tree, dict):
        return tree
    if tree.get("schemaname") == "public":
        tree = {name: value for name, value in tree.items() if name != "schemaname"}
    places = {"location", "list_start", "list_end", "rexpr_list_start", "rexpr_list_end"}
    return {name: without_places(value) for name, value in tree.items() if name not in places}


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
def test_the_tree_holds_texts_and_names_exactly(text: str) -> None:
    literal, name = text.replace("'", "''"), "n" + text[:10].replace('"', '""')
    (tree,) = on_grammar_thread(parse, f"SELECT '{literal}' FROM \"{name}\"")  # noqa: S608 - quoting is the point
    (target,) = tree["SelectStmt"]["targetList"]
    assert target["ResTarget"]["val"]["A_Const"]["sval"].get("sval", "") == text
    assert tree["SelectStmt"]["fromClause"][0]["RangeVar"]["relname"] == "n" + text[:10]


# --- Properties


@given(queries())
def test_a_tree_is_denied_exactly_when_it_touches_a_forbidden_table_anywhere(query: Query) -> None:
    forbidden = query.touched - {"metrics", "events", "sales.orders"}
    assert rule_of(asked(query.sql)) == ("allowed_tables" if forbidden else "allowed"), query.sql


WORDS = """
select from where ( ) , ; * 1 'a' $1 " -- /* secrets metrics union with as recursive insert into values update set
delete :: . = [ ] table lateral join on order by for copy do \\ E' U&' $$ é
"""
words = st.sampled_from([*WORDS.split(), "\0", "\ud800"])


@given(st.one_of(st.text(max_size=300), st.lists(words, max_size=40).map(" ".join)))
@example("SELECT '" + "\\" * 50)
def test_no_text_makes_the_decision_raise(text: str) -> None:
    for policy in (READING, WRITING):
        assert isinstance(POSTGRES.decide(Call("query", asked(text)), CONFIG, policy), Allow | Deny)


# --- Texts against the parser itself


@dataclass(frozen=True)
class Nest:
    """A statement as deep as a text can make it."""

    before: str
    opening: str
    middle: str
    closing: str = ""

    @property
    def sql(self) -> str:
        room = LONGEST - len(self.before) - len(self.middle)
        times = room // (len(self.opening) + len(self.closing))
        return self.before + self.opening * times + self.middle + self.closing * times


NESTS = [
    Nest("SELECT 1", "+1", ""),
    Nest("SELECT ", "(", "1", ")"),
    Nest("SELECT ", "NOT ", "true"),
    Nest("SELECT ", "- ", "1"),
    Nest("SELECT ", "@ ", "a"),
    Nest("SELECT array", "[", "1", "]"),
    Nest("", "(SELECT ", "1", ")"),
    Nest("SELECT ", "EXISTS(SELECT ", "1", ")"),
    Nest("SELECT ", "CASE WHEN 1 THEN ", "1", " END"),
    Nest("SELECT 1", " UNION SELECT 1", ""),
    Nest("SELECT 1", "::int", ""),
    Nest("SELECT a", "[1]", ""),
    Nest("SELECT (a)", ".a", ""),
    Nest("SELECT ", "f(", "1", ")"),
    Nest("SELECT ", "row(", "1", ")"),
    Nest("SELECT * FROM ", "(SELECT * FROM ", "a", ")a"),
    Nest("SELECT * FROM a", " JOIN a ON a", ""),
    Nest("", "WITH a AS (", "SELECT 1", ")SELECT 1"),
    Nest("SELECT 1", " AND 1 OR 1", ""),
    Nest("SELECT 1", " IS NULL", ""),
    Nest("SELECT ", "1 IN (", "1", ")"),
    Nest("SELECT 1 GROUP BY ", "GROUPING SETS(", "a", ")"),
    Nest("VALUES (1)", ",(1)", ""),
    Nest("", "/*", "", "*/"),
    Nest("", ";", ""),
    Nest("", "SELECT 1;", ""),
]


@pytest.mark.parametrize("nest", NESTS, ids=lambda nest: nest.opening)
def test_the_deepest_statements_are_answered_like_any_other(nest: Nest) -> None:
    assert LONGEST - 40 < len(nest.sql) <= LONGEST
    decision = POSTGRES.decide(Call("query", asked(nest.sql)), CONFIG, READING)
    assert isinstance(decision, Allow | Deny)


def test_the_size_is_looked_at_before_anything_is_parsed() -> None:
    assert rule_of(asked("SELECT 1 " + "é" * LONGEST)) == "size"
    assert rule_of(asked("SELECT 1 --" + "x" * (LONGEST - 11))) == "allowed"
    assert rule_of(asked("SELECT 1 --" + "x" * (LONGEST - 10))) == "size"


def test_threads_share_the_parser() -> None:
    with ThreadPoolExecutor(8) as pool:
        rules = list(pool.map(lambda at: rule_of(asked("TABLE " + ("metrics", "secrets")[at % 2])), range(200)))
    assert rules == ["allowed", "allowed_tables"] * 100


def test_what_goes_wrong_on_the_parsers_thread_is_raised_where_it_was_asked_for() -> None:
    with pytest.raises(Refused):
        on_grammar_thread(parse, "SELEC")
    with pytest.raises(ZeroDivisionError):
        on_grammar_thread(lambda: 1 / 0)
    assert rule_of(asked("SELECT 1")) == "allowed"


def test_a_forked_process_has_a_parser_of_its_own() -> None:
    assert rule_of(asked("SELECT 1")) == "allowed"
    if (child := os.fork()) == 0:
        signal.alarm(20)
        os._exit(0 if rule_of(asked("SELECT 1")) == "allowed" else 1)
    assert os.waitpid(child, 0)[1] == 0


# --- The lists


def test_nothing_may_be_called_that_reads_more_than_its_arguments() -> None:
    assert not any(is_hidden_call(name) for name in FUNCTIONS)
    assert not FUNCTIONS & {"set_config", "current_setting", "query_to_xml", "ts_stat", "dblink", "nextval", "version"}
    assert not any(name.startswith(("pg_", "lo_", "has_", "reg", "to_reg", "txid_")) for name in FUNCTIONS - REGEXPS)


REGEXPS = {name for name in FUNCTIONS if name.startswith(("regexp_", "regr_"))}


def test_the_tables_are_as_large_as_they_should_be() -> None:
    assert len(cases(HOSTILE)) >= 250
    assert len(set(GOOD)) >= 50
