"""Scheduled work of accounts. Every task may be lost or run twice."""

from __future__ import annotations

from celery import shared_task

from accounts import devices, expiry, sealing

SCHEDULE = {
    "sweep-untaken-sealed-values": ("accounts.tasks.sweep_untaken", 3600.0),
    "sweep-device-logins": ("accounts.tasks.sweep_device_logins", 3600.0),
    "end-expired-bindings": ("accounts.tasks.end_expired", 30.0),
}


@shared_task(ignore_result=True)
def sweep_untaken() -> None:
    """Delete sealed values whose command never came."""
    sealing.sweep_untaken()


@shared_task(ignore_result=True)
def sweep_device_logins() -> None:
    """Delete sign-ins of programs that are over."""
    devices.sweep()


@shared_task(ignore_result=True)
def end_expired() -> None:
    """Write and record the end of bindings whose time is over."""
    expiry.sweep()
