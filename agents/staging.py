"""What is kept aside for a command to name, uploads and discoveries: for how long, and longer while a request waits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from agents.models import Discovery, SkillUpload

KEPT = timedelta(days=1)  # a command names it at once; a request that names it says how much longer


def keep(ids: Iterable[UUID], until: datetime) -> None:
    """Let those among these that are kept aside wait until then."""
    named = list(ids)
    for model in (SkillUpload, Discovery):
        sooner = Q(kept_until__isnull=True) | Q(kept_until__lt=until)
        model.objects.filter(sooner, pk__in=named).update(kept_until=until)


def sweep(model: type[SkillUpload | Discovery]) -> int:
    """Delete the rows that no command took in time; return how many."""
    now = timezone.now()
    waiting = Q(kept_until__isnull=False, kept_until__gte=now)
    return model.objects.filter(created_at__lt=now - KEPT).exclude(waiting).delete()[0]
