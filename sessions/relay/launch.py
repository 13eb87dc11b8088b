"""Making a session on CMA, pinned to an agent's version.

Creates there are not idempotent. So the attempt is noted first, and every session carries a stamp in its metadata, an
HMAC that only we can make: after a lost answer it is looked for and adopted, and no twin is made.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any  # CMA's documents
from uuid import UUID

from django.utils import timezone

from agents import readiness
from powerloom.cma.client import CMA
from powerloom.reconcile import stamps
from powerloom.reconcile.stamps import Stamp
from sessions.ingest import Hold
from sessions.models import AgentSession, Status

KIND = "session"
CLOCKS_DIFFER = timedelta(minutes=10)
TITLE = 200


@dataclass(frozen=True)
class Plan:
    """What a follower has to know of its session before it starts."""

    id: UUID
    organization_id: UUID
    title: str | None
    cma_agent_id: str
    cma_agent_version: int
    cma_environment_id: str
    cma_vault_id: str
    is_delegated: bool
    cma_session_id: str
    create_attempted_at: datetime | None
    owed: str
    stamp: str

    def body(self, own_vault_id: str = "") -> dict[str, Any]:
        """Return what CMA is asked to create. The session's own vault comes first: for a server that stands in two, the
        first wins.
        """
        vaults = [vault for vault in (own_vault_id, self.cma_vault_id) if vault]
        return {
            "agent": {"type": "agent", "id": self.cma_agent_id, "version": self.cma_agent_version},
            "environment_id": self.cma_environment_id,
            "metadata": {stamps.KEY: self.stamp},
            **({"vault_ids": vaults} if vaults else {}),
            **({"title": self.title[:TITLE]} if self.title else {}),
        }


PLAN = tuple(name for name in Plan.__dataclass_fields__ if name != "stamp")


def plan_of(hold: Hold) -> Plan | None:
    """Return the plan of a session that is still held. Reads the database, so it is made off the loop."""
    row = hold.rows().values(*PLAN).first()
    if row is None:
        return None
    return Plan(**row, stamp=stamps.stamp(KIND, Stamp(row["organization_id"], row["id"])))


def with_vault_of_now(hold: Hold, plan: Plan) -> Plan | None:
    """Return the plan with the vault that the agent has now, and note it; None when it is the same one.

    Between invoking and creating the agent may have lost its last credential, and its vault with that, or have been
    given another one.
    """
    row = hold.rows().values("agent_id").first()
    vault_id = readiness.vault_of(row["agent_id"]) if row and plan.cma_vault_id else plan.cma_vault_id
    if vault_id == plan.cma_vault_id:
        return None
    hold.rows().update(cma_vault_id=vault_id)
    return replace(plan, cma_vault_id=vault_id)


def note_attempt(hold: Hold) -> bool:
    """Note that from now on CMA may have this session although we never hear so. False when it is held no longer, or
    was ended meanwhile: then nothing may be made.
    """
    return hold.rows().filter(status=Status.PENDING).update(create_attempted_at=timezone.now()) == 1


def forget_attempt(session_id: UUID) -> None:
    """CMA refused the create: it has no such session."""
    AgentSession.objects.filter(pk=session_id).update(create_attempted_at=None)


async def adopt(cma: CMA, plan: Plan) -> str | None:
    """Return the id of the session whose answer was lost, if CMA has it."""
    assert plan.create_attempted_at is not None, "nothing was attempted"
    oldest = plan.create_attempted_at - CLOCKS_DIFFER
    page = None
    while True:
        found = await cma.sessions.list(agent_id=plan.cma_agent_id, page=page, include_archived=True)
        for session in found.data:
            if session["metadata"].get(stamps.KEY) == plan.stamp:
                return str(session["id"])
        page = found.next_page
        made = [datetime.fromisoformat(session["created_at"]) for session in found.data]
        if page is None or (made and min(made) < oldest):
            return None
