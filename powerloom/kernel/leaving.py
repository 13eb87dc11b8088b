"""Ends a process within the seconds that are promised, whatever still runs in it.

What is cut off loses nothing: it is found again by the sweeps, as after a kill.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable

from django.db import connections

log = logging.getLogger(__name__)

SECONDS = 4.5  # of the six within which every process is to end after SIGINT or SIGTERM


def leave(status: int = 0) -> None:
    """Exit at once: a task cut off in a worker's thread would otherwise hold the interpreter's own shutdown."""
    connections.close_all()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def leave_in_time(end: Callable[[], object] = leave) -> None:
    """Call once told to stop: if the process is still there after `SECONDS`, say where it hangs, and `end` it."""
    timer = threading.Timer(SECONDS, _cut, (end,))
    timer.daemon = True
    timer.start()


def stop_signal() -> asyncio.Event:
    """Return an event of the running loop that SIGINT and SIGTERM set; from then on the process leaves in time."""
    told = asyncio.Event()

    def stop() -> None:
        leave_in_time()
        told.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return told


def _cut(end: Callable[[], object]) -> None:
    log.warning("Not all of this process ended in time; it is cut off where it stands")
    faulthandler.dump_traceback()
    end()
