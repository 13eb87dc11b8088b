"""Relays as processes of their own, killed without warning."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from powerloom.commands.bus import submit
from sessions.commands import SendMessage
from sessions.models import AgentSession, Relay, SessionEvent
from sessions.relay.membership import LONG_AGO
from tests.database import Committed
from tests.product import ROOT, environment_for
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
    def one(self) -> Iterator["subprocess.Popen[bytes]"]:
        with self._log.open("ab") as out:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "relay"], cwd=ROOT, env=self._environment, stdout=out, stderr=out
            )
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


def has_more_than(session: AgentSession, number: int) -> bool:
    return count(session) > number


def test_a_relay_killed_in_the_middle_loses_and_doubles_nothing(running: Running, relays: Relays) -> None:
    session = running.invoke("[events=120 rate=20] count")
    with relays.one() as first:
        until(lambda: count(session) > 10, what=f"events:\n{relays.output()}")
        first.kill()
        first.wait()
    session.refresh_from_db()
    assert session.status == "running"
    with relays.one():
        running.until_status(session, "idle_end_turn", within=60)
    assert count(session) == 120
    running.nothing_lost_or_doubled(session)


def test_a_relay_killed_again_and_again_sends_every_message_once(running: Running, relays: Relays) -> None:
    session = running.invoke("[events=5 rate=20] first")
    alice = actor_of(running.world.alice)
    for number in range(2):
        with relays.one() as relay:
            until(lambda: AgentSession.objects.get(pk=session.id).status == "idle_end_turn", within=40, what="rest")
            message = SendMessage(session_id=session.id, key=str(number), text=f"[events=20 rate=20] {number}")
            submit(message, actor=alice)
            until(partial(has_more_than, session, 5 + 20 * number), what="the next turn")
            relay.kill()
            relay.wait()
            Relay.objects.update(beat_at=LONG_AGO)  # as after ten seconds of silence, which the test above waits for
    with relays.one():
        running.until_status(session, "idle_end_turn", within=60)
    assert (count(session), count(session, "user.message")) == (45, 3)
    running.nothing_lost_or_doubled(session)


def test_a_relay_that_is_told_to_stop_gives_its_sessions_back(running: Running, relays: Relays) -> None:
    session = running.invoke("[events=200 rate=20] count")
    with relays.one() as relay:
        until(lambda: count(session) > 5, what=f"events:\n{relays.output()}")
        relay.terminate()
        assert relay.wait(6) == 0
    session.refresh_from_db()
    assert (session.status, session.relay_id) == ("running", None)
    assert all(relay.beat_at == LONG_AGO for relay in Relay.objects.all())
