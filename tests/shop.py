"""A PostgreSQL server of this run's own, and on it the database of `tests.sql` with people of every kind.

async def test_something(shop):         # a new database for each module
served = shop.served("reader")      # as a deployment's backend sees it
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import pytest

from agents.backends.base import Served
from agents.mcp.postgres.template import PostgresConfig, PostgresPolicy
from powerloom.kernel.ids import new_id
from powerloom.web.egress import Way
from tests.servers import NoServerError, postgres, private_folder, unprivileged_account
from tests.sql import ALLOWED, DATABASE

PASSWORD = "correct-horse-battery"
LISTED = 'metrics, events, sales.orders, "Odd Name", summary'

# What each can do besides connecting; `postgres` can do everything.
PEOPLE = f"""
CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE writer LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE snoop LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE scribbler LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE freed LOGIN BYPASSRLS PASSWORD '{PASSWORD}';
CREATE ROLE maker LOGIN CREATEROLE PASSWORD '{PASSWORD}';
CREATE ROLE staff;
CREATE ROLE clerk LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE blind LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE heir LOGIN NOINHERIT PASSWORD '{PASSWORD}';
CREATE ROLE careless SUPERUSER LOGIN PASSWORD '{PASSWORD}';
ALTER ROLE careless SET standard_conforming_strings = off;
GRANT pg_read_all_data TO staff;
GRANT staff TO clerk;
GRANT postgres TO heir;
"""
GRANTS = f"""
GRANT USAGE ON SCHEMA sales TO reader, writer, snoop, scribbler, blind;
GRANT SELECT ON {LISTED} TO reader, writer, snoop, scribbler;
GRANT INSERT, UPDATE, DELETE ON events, sales.orders TO writer, scribbler;
GRANT SELECT ON secrets TO snoop;
GRANT UPDATE (word) ON secrets TO scribbler;
"""


@dataclass(frozen=True)
class Shop:
    """One database on the private server."""

    server: str
    name: str

    def url(self, user: str = "reader", **parts: str) -> str:
        """The database's URL as this user would write it down."""
        host = parts.pop("host", self.server)
        query = "&".join(f"{name}={value}" for name, value in parts.items())
        return f"postgresql://{user}:{PASSWORD}@{host}/{self.name}" + (f"?{query}" if query else "")

    def served(
        self, user: str = "postgres", *, url: str = "", id_: UUID | None = None, way: Way | None = None, **said: Any
    ) -> Served[PostgresConfig, PostgresPolicy]:
        """A deployment whose secret is this URL; `said` is of its policy or else of its config."""
        policy = {"allowed_tables": ALLOWED} | {name: said.pop(name) for name in list(said) if name in POLICY}
        return Served(
            deployment_id=id_ or new_id(),
            organization_id=new_id(),
            ou_id=new_id(),
            config=PostgresConfig(database_url_secret="shop", **said),
            policy=PostgresPolicy(**policy),
            secrets={"database_url_secret": url or self.url(user)},
            way=way or Way(loopback=True),
        )

    def connect(self, user: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """A connection past everything that is tested here."""
        return psycopg.connect(self.url(user), autocommit=True)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """What the database answers to whoever may do everything."""
        with self.connect() as connection:
            return connection.execute(sql.encode()).fetchall()

    def contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, and what exists."""
        tables = self.ask("SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'sales')")
        names = [f'{schema}."{name}"' for schema, name in tables]
        rows = {name: self.ask(f"SELECT t::text FROM {name} t ORDER BY 1") for name in names}  # noqa: S608 - our names
        exists = "SELECT relname, relkind, relacl FROM pg_class WHERE relname !~ '^(pg_|sql_)' ORDER BY 1"
        return rows | {
            "relations": self.ask(exists),
            "roles": self.ask("SELECT rolname, rolsuper FROM pg_roles ORDER BY 1"),
            "counter": self.ask("SELECT last_value, is_called FROM counter"),
            "objects": self.ask("SELECT count(*) FROM pg_largeobject_metadata"),
        }


POLICY = set(PostgresPolicy.model_fields)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Host and port of a server that lives as long as this run; its superuser is `postgres`."""
    try:
        with private_folder() as folder, postgres(folder, unprivileged_account()) as url:
            where = url.split("@")[1].split("/")[0]
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(PEOPLE.encode())
            yield where
    except NoServerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def shop(postgres_server: str) -> Iterator[Shop]:
    """A new database."""
    made = Shop(postgres_server, f"shop_{new_id().hex}")
    with psycopg.connect(f"postgresql://postgres@{postgres_server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {made.name}".encode())
        with made.connect() as inside:
            inside.execute(f"{DATABASE};{GRANTS}".encode())
        yield made
        connection.execute(f"DROP DATABASE {made.name} WITH (FORCE)".encode())
