"""The drivers, by kind, in the order of their dependencies: `settings.RECONCILE_DRIVERS` names them."""

from __future__ import annotations

from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from powerloom.reconcile.driver import Driver


@cache
def drivers() -> dict[str, Driver]:
    """Return every driver by its kind; whatever a kind depends on comes before it."""
    made: list[Driver] = [import_string(name)() for name in settings.RECONCILE_DRIVERS]
    return {driver.kind: driver for driver in made}
