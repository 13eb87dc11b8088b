"""Scheduled work of agents. Safe to lose and to run twice."""

from __future__ import annotations

import threading

from celery import shared_task

from agents import deploying, withholding
from agents.deployments import TASK as DEPLOY

SCHEDULE = {
    "agents-withhold": ("agents.tasks.follow_access", 2.0),
    "agents-deploy": (DEPLOY, 2.0),
}

_deploying = threading.BoundedSemaphore(2)  # in one process: a check that hangs must not keep other tasks waiting


@shared_task(ignore_result=True)
def follow_access() -> None:
    """What its agents may no longer use leaves the runtime; what they may use again comes back."""
    withholding.follow_access()


@shared_task(ignore_result=True, name=DEPLOY)
def deploy() -> None:
    """Deployments that are due come on. While enough workers are at it here, theirs is the next look."""
    if not _deploying.acquire(blocking=False):
        return
    try:
        deploying.tick()
    finally:
        _deploying.release()
