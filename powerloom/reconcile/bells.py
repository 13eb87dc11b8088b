"""Bells for workers: after a commit, ask one to look now instead of at the next beat; by default the reconciler's.

A bell names a task that the beat sends too. It carries nothing and may be lost; it never fails or slows a request: half
a second to connect, no retry. Many writes in a row ring twice at most: at once, and once more shortly after, so that
the last of them is heard too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)

TICK = "powerloom.reconcile.tasks.tick"
QUIET_SECONDS = 0.25
CONNECT_SECONDS = 0.5
ONE_TRY = {"max_retries": 0, "connect_retries_timeout": CONNECT_SECONDS}


class Bell:
    """One process's bell for one task; it knows when it rings next."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rings_at = 0.0

    def delay(self, now: float) -> float | None:
        """Return in how many seconds to ring, or None when a ring is on its way already."""
        with self._lock:
            if now < self._rings_at:
                return None
            is_quiet = now >= self._rings_at + QUIET_SECONDS
            self._rings_at = now if is_quiet else now + QUIET_SECONDS
            return 0.0 if is_quiet else QUIET_SECONDS


_bells: defaultdict[str, Bell] = defaultdict(Bell)  # by task


def ring(task: str = TICK) -> None:
    """Nudge the task once the current transaction has committed; at once outside of one."""
    transaction.on_commit(lambda: _ring(task), robust=True)


def _ring(task: str) -> None:
    delay = _bells[task].delay(time.monotonic())
    if delay is None:
        return
    try:
        _send(task, delay)
    except (OperationalError, OSError) as error:
        log.warning("The bell could not be rung; the next beat looks anyway", extra={"error": type(error).__name__})


def _send(task: str, delay: float) -> None:
    options = {**current_app.conf.broker_transport_options, **ONE_TRY}
    with current_app.connection_for_write(connect_timeout=CONNECT_SECONDS, transport_options=options) as connection:
        current_app.send_task(task, countdown=delay or None, connection=connection, retry=False, ignore_result=True)
