"""Telling CMA that a session is over here: interrupt it, archive it, or remove it.

CMA refuses to archive or delete what runs, so such a session is interrupted and asked about again.
"""

from __future__ import annotations

from uuid import UUID

from powerloom.cma.client import CMA
from powerloom.cma.errors import Missing, Rejected
from sessions.models import AgentSession, Owed

INTERRUPT = {"type": "user.interrupt"}


async def settle(cma: CMA, remote_id: str, owed: str) -> bool:
    """Do what is owed. False when it runs still and has to be asked about again."""
    try:
        match owed:
            case Owed.ARCHIVE:
                await cma.sessions.archive(remote_id)
            case Owed.DELETE:
                await cma.sessions.delete(remote_id)
            case _:
                await cma.events.send(remote_id, [INTERRUPT])
    except Missing:
        return True
    except Rejected:
        if owed == Owed.INTERRUPT:
            return True  # it takes no more events, so it does not run either
        return await _stop_first(cma, remote_id)
    return True


async def _stop_first(cma: CMA, remote_id: str) -> bool:
    """Interrupt it. True when it was not running: then CMA refuses for good."""
    session = await cma.sessions.retrieve(remote_id)
    if session["status"] not in {"running", "rescheduling"}:
        return True
    await cma.events.send(remote_id, [INTERRUPT])
    return False


def settled(session_id: UUID, owed: str) -> None:
    """Note that nothing is owed any more, unless more became owed meanwhile."""
    AgentSession.objects.filter(pk=session_id, owed=owed).update(owed=Owed.NOTHING)
