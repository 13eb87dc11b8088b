"""Relays as processes of their own, killed without warning and told to stop, one after the other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connection, transaction

from powerloom.commands.bus import submit
from sessions.commands import SendMessage
from sessions.models import AgentSession, Relay, SessionEvent
from sessions.relay.membership import LONG_AGO
from tests.database import Committed
from tests.product import STOP_SECONDS, environment_for
from tests.programs import Begin, Process, by_command_line, start
from tests.running import Running
from tests.waiting import until
from tests.world import actor_of

pytestmark = pytest.mark.postgres_only  # on SQLite the relay has no process of its own


class Relays:
    """Starts `manage.py relay` on the database and the runtime of this test."""

    def __init__(self, running: Running, database: Committed, log: Path) -> None:
        self._log = log
        broker = {"REDIS_URL": os.environ["REDIS_URL"]} if "REDIS_URL" in os.environ else {}
        self._environment = environment_for(
            database.folder,
            **database.environment,
            **broker,
            POWERLOOM_DEV="1",
            POWERLOOM_CMA_URL=running.runtime.url,
            ANTHROPIC_API_KEY=running.runtime.key,
        )

    @contextmanager
    def one(self, begin: Begin = start) -> Iterator[Process]:
        with self._log.open("ab") as out:
            process = begin("manage.py", "relay", env=self._environment, out=out)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def output(self) -> str:
        return self._log.read_text()


@pytest.fixture
def relays(running: Running, committed_db: Committed, tmp_path: Path) -> Relays:
    return Relays(running, committed_db, tmp_path / "relay.log")


def count(session: AgentSession, kind: str = "agent.message") -> int:
    return SessionEvent.objects.filter(session=session, event_type=kind).count()


def test_relays_that_are_killed_or_told_to_stop_lose_and_double_nothing(running: Running, relays: Relays) -> None:
    session = running.invoke("[events=120 rate=20] count")
    with relays.one() as first:
        until(lambda: count(session) > 10, what=f"events:\n{relays.output()}")
        first.kill()
        first.wait()
    session.refresh_from_db()
    assert session.status == "running"

    with relays.one() as second:  # it takes over after ten seconds of silence
        running.until_status(session, "idle_end_turn", within=60)
        assert (count(session), count(session, "user.message")) == (120, 1)
        running.nothing_lost_or_doubled(session)
        send(running, session, "[events=20 rate=20] again")
        until(lambda: count(session) > 125, what="the next turn")
        second.kill()
        second.wait()
    Relay.objects.update(beat_at=LONG_AGO)  # as after that silence

    with relays.one(by_command_line) as third:
        running.until_status(session, "idle_end_turn", within=60)
        assert (count(session), count(session, "user.message")) == (140, 2)
        running.nothing_lost_or_doubled(session)
        send(running, session, "[events=200 rate=20] and again")
        until(lambda: count(session) > 145, what="the turn after that")
        third.terminate()
        assert third.wait(STOP_SECONDS) == 0
    session.refresh_from_db()
    assert (session.status, session.relay_id, count(session, "user.message")) == ("running", None, 3)
    assert all(relay.beat_at == LONG_AGO for relay in Relay.objects.all())


def test_a_relay_stops_in_time_though_the_database_does_not_answer(relays: Relays) -> None:
    with relays.one() as relay:
        until(Relay.objects.exists, what=f"the relay:\n{relays.output()}")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {Relay._meta.db_table}")
            relay.terminate()
            assert relay.wait(STOP_SECONDS) == 0
    assert "is cut off where it stands" in relays.output()


def send(running: Running, session: AgentSession, text: str) -> None:
    submit(SendMessage(session_id=session.id, key=text, text=text), actor=actor_of(running.world.alice))
