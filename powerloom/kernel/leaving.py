"""Ends a process soon after it was told to stop, though something in it still runs.

What is cut off loses nothing: it is found again by the sweeps, as after a kill.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress

from django.db import connections

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SECONDS = 4.5  # of the six within which every process is to end after SIGINT or SIGTERM
TELLING_SECONDS = 0.2  # whoever should read what is told may have hung, too


def leave(status: int = 0) -> None:
    """Exit at once: a task cut off in a worker's thread would otherwise hold the interpreter's own shutdown."""
    try:
        connections.close_all()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody reads it any more
                stream.flush()
    finally:
        os._exit(status)


def leave_in_time(end: Callable[[], object] = lambda: os._exit(0)) -> None:
    """Call once told to stop: if the process is still there after `SECONDS`, say where it hangs, and `end` it."""
    timer = threading.Timer(SECONDS, _cut, (end,))
    timer.daemon = True
    timer.start()


def stop_signal() -> asyncio.Event:
    """Return an event of the running loop that SIGINT and SIGTERM set; from then on the process leaves in time."""
    told = asyncio.Event()
    for number in SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, _stop, told)
    return told


def stop_event() -> threading.Event:
    """As `stop_signal`, for a main thread without a loop."""
    told = threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: _stop(told))
    return told


def _stop(told: asyncio.Event | threading.Event) -> None:
    if not told.is_set():
        leave_in_time()
        told.set()


def _cut(end: Callable[[], object]) -> None:
    telling = threading.Thread(target=_tell, daemon=True)
    telling.start()
    telling.join(TELLING_SECONDS)
    end()


def _tell() -> None:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks = sys._current_frames()  # noqa: SLF001  documented, and the one way to other threads' stacks
    threads = "".join(f"{names.get(ident)}:\n{''.join(traceback.format_stack(at))}" for ident, at in stacks.items())
    log.warning("Not all of this process ended in time; it is cut off where it stands", extra={"threads": threads})
