"""Where an agent stands, for people: the sync word with its age, the health, and a sentence that says what to do next.

Health is about what can be run now: Ready when the runtime has what is wanted, Degraded when it has something else
(an older version, a drifted one), nothing while it has nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from agents import readiness
from agents.kinds import SyncKind
from agents.models import Agent
from agents.queries.lists import sync_states
from agents.readiness import Readiness
from powerloom.reconcile import status
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.status import SyncStatus

TONES = {SyncStatus.PARKED: "bad", SyncStatus.WAITING: "warn", SyncStatus.DRIFTED: "warn", SyncStatus.PENDING: "busy"}


@dataclass(frozen=True)
class Standing:
    """One agent's state as it is shown. `live` is whether it can be invoked."""

    state: SyncStatus
    since: datetime | None
    note: str
    sentence: str
    health: str
    live: bool
    why: str

    @property
    def tone(self) -> str:
        return TONES.get(self.state, "busy")

    @property
    def can_reset(self) -> bool:
        return self.state == SyncStatus.PARKED


def of(agents: Sequence[Agent]) -> dict[UUID, Standing]:
    """Return where each agent stands, by id; three queries for any number of them."""
    rows = sync_states(SyncKind.AGENT, [agent.id for agent in agents])
    ready = readiness.of(agents)
    return {agent.id: standing(rows.get(agent.id), ready[agent.id]) for agent in agents}


def standing(row: SyncState | None, ready: Readiness) -> Standing:
    """Return where an agent stands. Pure."""
    word = status.of(row)
    return Standing(
        state=word,
        since=_since(row, word),
        note=f"for {row.waits_for}" if row and word == SyncStatus.WAITING else "",
        sentence=_sentence(row, word, ready),
        health=_health(row, ready),
        live=ready.live,
        why=ready.why,
    )


def word_of(row: SyncState | None) -> str:
    """Return the sync word of any object of this app."""
    return status.of(row).value


def _since(row: SyncState | None, word: SyncStatus) -> datetime | None:
    if row is None:
        return None
    return {SyncStatus.PARKED: row.parked_at, SyncStatus.SYNCED: row.synced_at}.get(word) or row.updated_at


def _health(row: SyncState | None, ready: Readiness) -> str:
    if row is None or not row.remote_id:
        return ""
    return "ready" if ready.live else "degraded"


def _sentence(row: SyncState | None, word: SyncStatus, ready: Readiness) -> str:
    if row is None:
        return "The reconciler does not know this agent yet."
    error = row.last_error.rstrip(". ")
    failures = f" after {row.attempts} failures" if row.attempts > 1 else ""
    sentences = {
        SyncStatus.PARKED: f"Parked{failures}: {error or row.condition}. Change what it names, then Reset.",
        SyncStatus.WAITING: f"Waiting for {row.waits_for}. It is looked at again at every tick.",
        SyncStatus.DRIFTED: "The runtime's copy was changed by another hand. It is being put right.",
        SyncStatus.PENDING: f"{error}. It is tried again by itself." if error else "",
        SyncStatus.SYNCED: "" if ready.live else f"The agent itself is synced, but {ready.why}.",
    }
    return sentences.get(word, "")
