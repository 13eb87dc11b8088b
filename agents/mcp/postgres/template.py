"""PostgreSQL: look at tables and query them. Every statement is read with PostgreSQL's own grammar before it runs."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar  # Any: values of rows are JSON

from pydantic import BaseModel, Field

from agents.mcp.postgres.grammar import Refused
from agents.mcp.postgres.statements import check
from agents.mcp.postgres.tables import Table, TableName, table_of
from agents.mcp.template import (
    Allow,
    Call,
    Decision,
    Deny,
    Policy,
    SecretName,
    SecretReference,
    Settings,
    Template,
    Tool,
)

Parameters = list[bool | int | float | str | None]


class PostgresConfig(Settings):
    """Where the database is, and how much one call may take."""

    database_url_secret: SecretName = Field(
        description="The secret that holds the database's URL: postgresql://user:password@host:port/database?sslmode=…"
    )
    statement_timeout_seconds: int = Field(10, ge=1, le=60, description="After this, a statement is cancelled.")
    row_limit: int = Field(500, ge=1, le=10_000, description="A call answers at most so many rows.")
    result_bytes: int = Field(262_144, ge=1024, le=4_194_304, description="A call answers at most so much.")


class PostgresPolicy(Policy):
    """What statements may touch. Names without a schema mean `public`."""

    allowed_tables: list[TableName] = Field(
        [],
        max_length=1000,
        description="Tables and views that may be used; no others, and none when empty. A listed view shows what it "
        "shows, whatever it reads.",
    )
    deny_mutation_keywords: bool = Field(
        True, description="Reading only. If false, INSERT, UPDATE and DELETE may run on the allowed tables."
    )

    @cached_property
    def tables(self) -> frozenset[Table]:
        """The allowed tables as the catalog names them."""
        return frozenset(map(table_of, self.allowed_tables))


class ListTablesArguments(Settings):
    """Nothing to say."""


class DescribeTableArguments(Settings):
    table: TableName = Field(description="A table, with its schema unless that is public.")


class QueryArguments(Settings):
    sql: str = Field(description="One statement in PostgreSQL's SQL; $1, $2 and so on stand for the parameters.")
    parameters: Parameters = Field([], max_length=100, description="The values of $1, $2 and so on.")


class ExplainArguments(QueryArguments):
    analyze: bool = Field(False, description="Run it too, and answer what it took. Only for what reads.")


class TableList(BaseModel):
    """What `list_tables` answers."""

    tables: list[dict[str, Any]]


class TableDescription(BaseModel):
    """What `describe_table` answers."""

    table: str
    kind: str
    comment: str | None
    columns: list[dict[str, Any]]
    indexes: list[str]


class Rows(BaseModel):
    """What `query` answers. Numbers with decimals, times and bytes are text as PostgreSQL writes them."""

    columns: list[dict[str, str]]
    rows: list[list[Any]]
    row_count: int
    truncated: bool
    note: str | None = None


class Plan(BaseModel):
    """What `explain` answers."""

    plan: str


class PostgresTemplate(Template[PostgresConfig, PostgresPolicy]):
    """See the module."""

    kind = "postgres"
    title = "PostgreSQL"
    description = "Reads, and if its policy says so writes, the listed tables of a PostgreSQL database."
    config = PostgresConfig
    policy = PostgresPolicy
    tools: ClassVar[tuple[Tool, ...]] = (
        Tool("list_tables", "List the tables and views that may be used.", ListTablesArguments, result=TableList),
        Tool("describe_table", "Show a table's columns and keys.", DescribeTableArguments, result=TableDescription),
        Tool("query", "Run one SQL statement.", QueryArguments, is_read_only=False, result=Rows),
        Tool("explain", "Show the plan of one SQL statement.", ExplainArguments, result=Plan),
    )

    def secrets(self, config: PostgresConfig) -> tuple[SecretReference, ...]:
        return (SecretReference("database_url_secret", config.database_url_secret, "postgres_url"),)

    def judge(self, call: Call, config: PostgresConfig, policy: PostgresPolicy) -> Decision:
        try:
            match call.arguments:
                case ExplainArguments(sql=sql, analyze=True):
                    check(sql, policy.tables, may_write=False)
                case QueryArguments(sql=sql):
                    check(sql, policy.tables, may_write=not policy.deny_mutation_keywords)
                case DescribeTableArguments(table=table) if table_of(table) not in policy.tables:
                    words = f"The table {table_of(table)} is not among this deployment's allowed_tables."
                    return Deny("allowed_tables", words)
        except Refused as refused:
            return Deny(refused.rule, refused.reason)
        return Allow()
