"""Scheduled work of sessions. Safe to lose and to run twice."""

from __future__ import annotations

from celery import shared_task

from sessions import asking, revocation, session_vaults, sweeps

SCHEDULE = {
    "sessions-calls": ("sessions.tasks.follow_calls", 2.0),
    "sessions-deadlines": ("sessions.tasks.end_overdue_turns", 10.0),
    "sessions-revocation": ("sessions.tasks.follow_access", 2.0),
    "sessions-vaults": ("sessions.tasks.discard_vaults", 15.0),
    "sessions-tickets": ("sessions.tasks.forget_tickets", 600.0),
}


@shared_task(ignore_result=True)
def end_overdue_turns() -> None:
    """What relays would have done, had one been there."""
    sweeps.end_overdue_turns()


@shared_task(ignore_result=True)
def follow_calls() -> None:
    """Calls that ask come into the inbox, and leave it with their session."""
    asking.follow()


@shared_task(ignore_result=True)
def follow_access() -> None:
    """Sessions that run on a right that is gone are interrupted."""
    revocation.follow_access()


@shared_task(ignore_result=True)
def forget_tickets() -> None:
    """Old tickets go."""
    sweeps.forget_tickets()


@shared_task(ignore_result=True)
def discard_vaults() -> None:
    """The vaults of delegated sessions that are over go."""
    session_vaults.discard_all()
