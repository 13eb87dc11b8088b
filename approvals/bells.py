"""The bell of the replayer: after a commit, ask a worker to look now instead of at the next beat."""

from __future__ import annotations

from powerloom.reconcile import bells

REPLAY = "approvals.tasks.replay"


def ring_replay() -> None:
    """Nudge a replay once the current transaction has committed."""
    bells.ring(REPLAY)
