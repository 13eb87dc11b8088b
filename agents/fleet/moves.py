"""When the fleet's address changes, what the runtime holds of it must follow: agents name it, vaults too."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from agents import convergence
from agents.models import FleetAddress


def follow() -> bool:
    """Tell the reconciler of another address than the last one, and remember it. Return whether there was one."""
    with transaction.atomic(durable=True):
        known = FleetAddress.objects.select_for_update().first()
        if known is not None and known.url == settings.FLEET_URL:
            return False
        FleetAddress.objects.update_or_create(defaults={"url": settings.FLEET_URL, "since": timezone.now()})
        if known is not None:
            convergence.fleet_moved()
        return known is not None
