"""How long the runtime's rate budget makes a change take: its calls by class, and the minutes of the slowest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any  # calls are JSON
from uuid import UUID

from powerloom.reconcile.budget import REFILL, burst, rates
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.registry import drivers

Thing = tuple[str, UUID]


def classes_of(calls: Iterable[Mapping[str, Any]]) -> dict[Thing, str]:
    """Return the class of the call that each stale thing takes, once a thing; one query. What CMA has is changed there,
    anything else is created.
    """
    things = {(call["kind"], UUID(call["id"])): None for call in calls}
    rows = SyncState.objects.filter(object_id__in=[id_ for _, id_ in things]).exclude(remote_id="")
    there = set(rows.values_list("kind", "object_id")) if things else set()
    known = drivers()
    return {
        thing: known[thing[0]].others if thing in there else known[thing[0]].creates
        for thing in things
        if thing[0] in known
    }


def minutes(classes: Iterable[str]) -> float | None:
    """Return how many minutes these calls take beginning with full buckets, to two places; None where nothing is
    limited. The buckets refill side by side, so the slowest one counts.
    """
    quota = rates()
    if not quota:
        return None
    counts = Counter(classes)
    waits = (max(0.0, count - burst(name)) / (quota[name] * REFILL) for name, count in counts.items() if name in quota)
    return round(max(waits, default=0.0), 2)
