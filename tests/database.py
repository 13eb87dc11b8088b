"""The databases of the tests, and second parties for races.

Most tests take pytest-django's `db`: one connection, rolled back afterwards. Those that need real commits (threads,
child processes, async code, sockets) take `committed_db`: a database of their own, cloned from the migrated one and
thrown away. Flushing is no way back, because the audit tables refuse DELETE and TRUNCATE, as they should.

    def test_only_one_of_two_deciders_wins(committed_db, race):
        outcomes = race(lambda: decide(vera), lambda: decide(bob))

    def test_a_right_revoked_in_the_gap_is_gone(committed_db, rival):
        with transaction.atomic(durable=True):
            load_and_lock()
            revoked = rival.start(revoke)       # in a thread of its own, with a connection of its own
        revoked.result(timeout=10)
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Barrier, Event
from typing import Any, Protocol, TypeVar

import psycopg
import pytest
import redis
from asgiref.sync import SyncToAsync
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper as PostgresConnection
from psycopg.sql import SQL, Identifier
from pytest_django import DjangoDbBlocker

from tests.migrated import copy_migrated

T = TypeVar("T")

PATIENCE = 30.0  # longer than any lock is waited for
SOON = 0.3  # seconds in which what does not wait would be done


@dataclass(frozen=True)
class Committed:
    """A database that is this test's alone. Processes started with `environment` share it, and the keys beside it."""

    folder: Path
    environment: dict[str, str]


@pytest.fixture
def committed_db(django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path: Path) -> Iterator[Committed]:
    """A migrated database in which commits are real, for this test, its threads and its children; then thrown away."""
    folder = tmp_path / "home"
    folder.mkdir()
    keys = settings.HOME / "keys"
    keys.mkdir(exist_ok=True)
    (folder / "keys").symlink_to(keys)
    empty_broker()
    with django_db_blocker.unblock():
        clone = postgres_clone if connection.vendor == "postgresql" else sqlite_clone
        with clone(folder) as environment:
            yield Committed(folder, {"POWERLOOM_HOME": str(folder), **environment})


@pytest.fixture
def transactional_db(committed_db: Committed) -> Committed:
    """What pytest-django would flush afterwards is a clone here."""
    return committed_db


# --- Clones of the migrated database


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """On SQLite the database is there before Django looks: it finds nothing to migrate."""
    return connection.vendor == "sqlite"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    if connection.vendor == "sqlite":
        copy_migrated(Path(connection.settings_dict["TEST"]["NAME"]))


@contextmanager
def sqlite_clone(folder: Path) -> Iterator[dict[str, str]]:
    template, clone = Path(connection.settings_dict["NAME"]), folder / "powerloom.sqlite3"
    close_everywhere()
    with closing(sqlite3.connect(template)) as source, closing(sqlite3.connect(clone)) as copy:
        source.backup(copy)
    with connected_to(str(clone)):
        yield {}


@contextmanager
def postgres_clone(folder: Path) -> Iterator[dict[str, str]]:
    address = connection.settings_dict
    template, clone = address["NAME"], f"{address['NAME']}_clone"
    close_everywhere()
    with psycopg.connect(
        host=address["HOST"], port=address["PORT"], user=address["USER"], password=address["PASSWORD"], autocommit=True
    ) as admin:
        drop = SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(Identifier(clone))
        admin.execute(drop)
        # The template's files are quicker copied than logged; before 15 they always were.
        by_copy = SQL("STRATEGY file_copy" if admin.info.server_version >= 15_00_00 else "")
        create = SQL("CREATE DATABASE {} TEMPLATE {} {}")
        admin.execute(create.format(Identifier(clone), Identifier(template), by_copy))
        try:
            with connected_to(clone):
                yield {"DATABASE_URL": f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{clone}"}
        finally:
            admin.execute(drop)


@contextmanager
def connected_to(name: str) -> Iterator[None]:
    """Point every connection of this process elsewhere: all threads read the same settings when they connect."""
    before, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], name
    try:
        yield
    finally:
        close_everywhere()
        connection.settings_dict["NAME"] = before


def close_everywhere() -> None:
    """Close the connections of this thread, of the one that sync_to_async keeps, and of the pool."""
    connections.close_all()
    SyncToAsync.single_thread_executor.submit(connections.close_all).result(PATIENCE)
    behind_the_proxy = connections[connection.alias]
    if isinstance(behind_the_proxy, PostgresConnection):
        behind_the_proxy.close_pool()


def empty_broker() -> None:
    """Forget the tasks and bells of earlier tests."""
    if settings.REDIS_URL:
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            client.flushdb()


@contextmanager
def undone() -> Iterator[None]:
    """Take back what the block does. Counts as a test's own frame, so that durable transactions may begin inside."""
    block = transaction.atomic()
    block._from_testcase = True  # type: ignore[attr-defined]  # what Django's own TestCase does
    with block:
        yield
        transaction.set_rollback(True)


# --- Second parties


class Rival:
    """Somebody else: a thread with a database connection of its own, which does one thing after another."""

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rival")

    def start(self, act: Callable[[], T]) -> Future[T]:
        """Begin, and answer at once: the act may have to wait for a lock that the caller holds."""
        return self.thread.submit(act)

    def does(self, act: Callable[[], T]) -> T:
        """Act to the end, and answer or raise what it answers or raises."""
        return self.start(act).result(PATIENCE)

    def leave(self) -> None:
        self.thread.submit(connections.close_all).result(PATIENCE)
        self.thread.shutdown()


class Race(Protocol):
    """Let all of them start at the same moment, each in a thread and on a connection of its own.

    Answers what each answered, or the exception it raised, in the order of the arguments.
    """

    def __call__(self, *contenders: Callable[[], Any]) -> list[Any]: ...


@pytest.fixture
def rival(committed_db: Committed) -> Iterator[Rival]:
    """A second party on the database of this test."""
    second = Rival()
    yield second
    second.leave()


@pytest.fixture
def race(committed_db: Committed) -> Race:
    """A race on the database of this test."""
    return run_race


def run_race(*contenders: Callable[[], Any]) -> list[Any]:
    barrier = Barrier(len(contenders), timeout=PATIENCE)

    def run(contender: Callable[[], Any]) -> Any:
        connection.ensure_connection()
        barrier.wait()
        return contender()

    rivals = [Rival() for _ in contenders]
    futures = [rival.start(partial(run, contender)) for rival, contender in zip(rivals, contenders, strict=True)]
    outcomes = [_outcome(future) for future in futures]
    for rival in rivals:
        rival.leave()
    return outcomes


def in_turn(rival: Rival, first: Callable[[], Any], second: Callable[[], Any], *, before: str) -> tuple[Any, Any]:
    """Begin the first, stop it before it writes to the table `before`, begin the second, which must wait, and let go.

    Answers what each answered, or the exception it raised.
    """
    other, at, go = Rival(), Event(), Event()

    def stop(execute: Any, sql: str, *rest: Any) -> Any:
        if f'INSERT INTO "{before}"' in sql:
            at.set()
            assert go.wait(PATIENCE)
        return execute(sql, *rest)

    def stopped() -> Any:
        with connection.execute_wrapper(stop):
            return first()

    try:
        one = rival.start(stopped)
        assert at.wait(PATIENCE), one.exception(0)
        two = other.start(second)
        assert not wait([two], timeout=SOON).done, "it did not wait"
        go.set()
        return _outcome(one), _outcome(two)
    finally:
        go.set()
        other.leave()


def _outcome(future: Future[Any]) -> Any:
    return future.exception(PATIENCE) or future.result()
