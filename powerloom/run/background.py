"""Worker and beat as threads: parts of the embedded process, or the whole of a process of their own.

A stop waits a moment for running tasks and then leaves them: what is cut off is found again when its lease expires.
"""

from __future__ import annotations

import os
import threading
from importlib import import_module
from typing import Any, Protocol  # Celery is untyped here

from celery.beat import EmbeddedService, Scheduler
from celery.worker import WorkController
from django.conf import settings

from powerloom.celery import app
from powerloom.kernel.leaving import leave, stop_event

STOP_SECONDS = 2.0


class Part(Protocol):
    """Something that runs beside the main thread."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Worker:
    """A Celery worker with a pool of threads."""

    def __init__(self) -> None:
        self._controller: Any = WorkController(
            app=app,
            pool_cls="threads",
            concurrency=settings.CELERY_WORKER_CONCURRENCY,
            hostname=f"worker-{os.getpid()}@localhost",
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._thread = threading.Thread(target=self._controller.start, name="worker", daemon=True)

    def start(self) -> None:
        # The first convergence would otherwise wait for the SDK to be imported: two seconds of processor time.
        threading.Thread(target=import_module, args=("powerloom.cma.wire",), name="import", daemon=True).start()
        self._thread.start()

    def stop(self) -> None:
        """Take no more tasks, and return once the running ones have ended or `STOP_SECONDS` have passed."""
        stopper = threading.Thread(target=self._controller.stop, daemon=True)
        stopper.start()
        stopper.join(STOP_SECONDS)


class Beat:
    """The clock that sends the scheduled tasks. Twice is harmless: every task is safe to run twice."""

    def __init__(self) -> None:
        # In memory: Celery's default keeps its times in a file of the working folder, which two would fight over.
        self._service: Any = EmbeddedService(app, thread=True, max_interval=1, scheduler_cls=Scheduler)

    def start(self) -> None:
        self._service.start()

    def stop(self) -> None:
        self._service.service.stop()


def run_until_signaled(part: Part) -> None:
    """Run the part until SIGINT or SIGTERM, then leave with status 0 within seconds."""
    stop = stop_event()
    part.start()
    stop.wait()
    part.stop()
    leave()
