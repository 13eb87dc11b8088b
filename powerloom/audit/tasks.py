"""Scheduled work of the trail. In the distributed mode `manage.py sign_heads` signs, because no worker may read the
key.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from powerloom.audit.models import DenialWindow
from powerloom.audit.signing import sign

log = logging.getLogger(__name__)

DENIALS_KEPT = timedelta(days=1)

SCHEDULE = {
    "sign-heads": ("powerloom.audit.tasks.sign_heads", 60.0),
    "sweep-denials": ("powerloom.audit.tasks.sweep_denials", 3600.0),
}


@shared_task(ignore_result=True)
def sign_heads() -> None:
    """Sign the heads, embedded only. A chain that does not hold is said loudly and stays unsigned."""
    if settings.EMBEDDED:
        for chain, fault in sign().faults.items():
            log.critical("The audit trail is broken", extra={"chain": str(chain), "fault": fault})


@shared_task(ignore_result=True)
def sweep_denials() -> None:
    """Forget the counts of old denials; their entries stay in the trail."""
    DenialWindow.objects.filter(minute__lt=timezone.now() - DENIALS_KEPT).delete()
