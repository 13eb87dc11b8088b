"""The bell: rung after a commit, and never at the cost of the write."""

import os
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pytest
from celery import current_app
from django.db import transaction

from powerloom.kernel.ids import new_id
from powerloom.reconcile import bells, intents
from powerloom.reconcile.models import SyncState
from tests.database import Committed
from tests.servers import free_port

ROOT = Path(__file__).resolve().parent.parent.parent.parent

DECLARE = """
import time
import django
django.setup()
from powerloom.kernel.ids import new_id
from powerloom.reconcile import intents
from powerloom.reconcile.models import SyncState
SyncState.objects.count()
start = time.monotonic()
intents.declare("agent", [new_id()], organization_id=new_id())
print("took", time.monotonic() - start, SyncState.objects.count(), flush=True)
"""


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the bell sends, instead of sending it."""
    delays: list[float] = []
    monkeypatch.setattr(bells, "_bells", defaultdict(bells.Bell))
    monkeypatch.setattr(bells, "_send", lambda _task, delay: delays.append(delay))
    return delays


def test_it_rings_after_the_commit_and_not_before(committed_db: Committed, rung: list[float]) -> None:
    with transaction.atomic(durable=True):
        intents.declare("agent", [new_id()], organization_id=new_id())
        assert rung == []
    assert rung == [0.0]


def test_it_does_not_ring_for_what_was_rolled_back(committed_db: Committed, rung: list[float]) -> None:
    with transaction.atomic(durable=True):
        intents.declare("agent", [new_id()], organization_id=new_id())
        transaction.set_rollback(True)
    assert rung == []
    assert not SyncState.objects.exists()


def test_a_thousand_writes_ring_twice(committed_db: Committed, rung: list[float]) -> None:
    ids = [new_id()]
    for _ in range(200):
        intents.mark_stale("agent", ids)
    assert rung[0] == 0.0
    assert len(rung) < 20


def test_a_dead_broker_neither_fails_nor_delays_a_write(committed_db: Committed) -> None:
    environment = {**os.environ, **committed_db.environment, "DJANGO_SETTINGS_MODULE": "powerloom.settings"}
    environment["REDIS_URL"] = f"redis://127.0.0.1:{free_port()}/0"
    done = subprocess.run(
        [sys.executable, "-c", DECLARE], cwd=ROOT, env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    took, rows = done.stdout.split()[1:]
    assert float(took) < 5.0
    assert int(rows) == 1
    assert "could not be rung" in done.stderr


@pytest.mark.redis_only
def test_through_redis_it_reaches_the_queue(committed_db: Committed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bells, "_bells", defaultdict(bells.Bell))
    start = time.monotonic()
    intents.mark_stale("agent", [new_id()])
    assert time.monotonic() - start < 5.0
    with current_app.connection_for_read() as connection, connection.SimpleQueue("celery") as queue:
        message = queue.get(timeout=5)
        assert message.headers["task"] == bells.TICK
        message.ack()
