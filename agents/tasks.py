"""Scheduled work of agents. Safe to lose and to run twice."""

from __future__ import annotations

import threading

from celery import shared_task

from agents import deploying, expiry, probing, withholding
from agents.deployments import TASK as DEPLOY
from agents.fleet import journal, moves

SCHEDULE = {
    "agents-withhold": ("agents.tasks.follow_access", 2.0),
    "agents-expire": ("agents.tasks.expire_credentials", 10.0),
    "agents-deploy": (DEPLOY, 2.0),
    "agents-probe": ("agents.tasks.look_at_servers", 10.0),
    "agents-discoveries": ("agents.tasks.forget_discoveries", 3600.0),
    "fleet-moves": ("agents.tasks.follow_fleet", 60.0),
    "fleet-sweep-calls": ("agents.tasks.sweep_calls", 3600.0),
}

_deploying = threading.BoundedSemaphore(2)  # in one process: a check that hangs must not keep other tasks waiting
_looking = threading.Lock()


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


@shared_task(ignore_result=True)
def look_at_servers() -> None:
    """Look at the MCP servers whose time has come; one look at a time in a process, for servers may be slow."""
    if not _looking.acquire(blocking=False):
        return
    try:
        probing.look_at_due()
    finally:
        _looking.release()


@shared_task(ignore_result=True)
def forget_discoveries() -> None:
    """What handshakes found and no registration took goes."""
    probing.sweep_discoveries()


@shared_task(ignore_result=True)
def follow_fleet() -> None:
    """The runtime learns of another address of the fleet."""
    moves.follow()


@shared_task(ignore_result=True)
def sweep_calls() -> None:
    """Delete the oldest entries of the log of tool calls."""
    journal.sweep()


@shared_task(ignore_result=True)
def expire_credentials() -> None:
    """Credentials that have expired leave the runtime."""
    expiry.expire()
