"""Why something is not live, in the shape of every explanation: what the reconciler saw, and what would change it."""

from __future__ import annotations

from accounts.granters import who_may
from agents.actions import Action
from powerloom.kernel.explanation import Explanation, Fact, Remedy
from powerloom.kernel.refs import Target
from powerloom.reconcile import status
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.status import SyncStatus

BY_ITSELF = "Wait: it is tried again by itself."


def stop_of(state: SyncState | None, why: str, *, place: Target, change: Action) -> Explanation:
    """Return why this is not live. `change` is the right that mends what is parked; one query, for those alone."""
    word = status.of(state)
    facts = [Fact("sync", f"{place.kind} {place.name} is {word.value}")]
    if state is not None and state.attempts:
        facts.append(Fact("attempts", f"{state.attempts} tries failed in a row"))
    facts.append(Fact(state.condition or "sync" if state else "sync", why, decides=True))
    return Explanation(tuple(facts), (_remedy(state, word, place, change),))


def _remedy(state: SyncState | None, word: SyncStatus, place: Target, change: Action) -> Remedy:
    if word == SyncStatus.PARKED:
        who = who_may(change, place.ou_path, place.organization_id)
        return Remedy("change", "Change what it names, then reset its sync.", tuple(who))
    if state is not None and state.waits_for:
        return Remedy("wait", f"Wait: it goes on when {state.waits_for} is there.")
    return Remedy("wait", BY_ITSELF)
