"""What a worker runs. Tasks carry nothing, may be lost, and may run any number of times at once."""

from __future__ import annotations

import threading

from celery import shared_task

from powerloom.reconcile import bells, engine, sweep

TICKS_AT_ONCE = 2
"""In one process: enough that a batch of slow calls does not keep a revocation waiting, and threads stay for other
tasks.
"""

_turnstile = threading.BoundedSemaphore(TICKS_AT_ONCE)


@shared_task(name=bells.TICK)
def tick() -> None:
    """Converge what is due. While enough ticks are under way here, theirs is the next look, and this one ends at
    once.
    """
    if not _turnstile.acquire(blocking=False):
        return
    try:
        engine.tick()
    finally:
        _turnstile.release()


@shared_task(name="powerloom.reconcile.tasks.sweep")
def look_for_drift() -> None:
    """Look through the accounts whose turn it is."""
    sweep.sweep()


SCHEDULE: dict[str, tuple[str, float]] = {
    "converge": (bells.TICK, 2.0),
    "look for drift": ("powerloom.reconcile.tasks.sweep", 5.0),
}
