"""Scheduled work of the write path."""

from __future__ import annotations

from celery import shared_task

from powerloom.commands import idempotency

SCHEDULE = {"sweep-idempotency": ("powerloom.commands.tasks.sweep_idempotency", 3600.0)}


@shared_task(ignore_result=True)
def sweep_idempotency() -> None:
    """Forget the keys whose time is over."""
    idempotency.sweep()
