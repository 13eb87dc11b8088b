"""Scheduled work of agents. Safe to lose and to run twice."""

from __future__ import annotations

from celery import shared_task

from agents import withholding

SCHEDULE = {"agents-withhold": ("agents.tasks.follow_access", 2.0)}


@shared_task(ignore_result=True)
def follow_access() -> None:
    """What its agents may no longer use leaves the runtime; what they may use again comes back."""
    withholding.follow_access()
