"""The log of tool calls: written before the call is answered, many in one transaction.

Whatever arrived while the last transaction was under way goes into the next, without a timer: a lone call is written at
once, a hundred at a time together. A process that is killed loses only calls that nobody got an answer to.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

from django.utils import timezone

from agents.models import MCPCall
from powerloom.web.threads import DatabaseThread

BATCH = 200
KEPT = timedelta(days=90)
SWEPT_AT_ONCE = 1000

Entry = tuple[MCPCall, "asyncio.Future[None]"]


class Journal:
    """`write` rows; `run` stores them. One a process."""

    def __init__(self) -> None:
        self._thread = DatabaseThread("fleet-journal")
        self._waiting: list[Entry] = []
        self._work = asyncio.Event()

    async def write(self, call: MCPCall) -> None:
        """Return once the row is committed. Raises what the database raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((call, done))
        self._work.set()
        await done

    async def run(self) -> None:
        """Write until cancelled; what is under way is finished first."""
        while True:
            await self._work.wait()
            await asyncio.shield(self._store())

    async def close(self) -> None:
        """Write what is left, and end the thread."""
        while self._waiting:
            await self._store()
        await self._thread.close()

    async def _store(self) -> None:
        batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        if not self._waiting:
            self._work.clear()
        error: Exception | None = None
        try:
            await self._thread.run(MCPCall.objects.bulk_create, [call for call, _ in batch])
        except Exception as raised:  # noqa: BLE001  each call that waits is told
            error = raised
        for _, done in batch:
            with contextlib.suppress(asyncio.InvalidStateError):  # whoever waited has gone
                done.set_exception(error) if error else done.set_result(None)


def sweep() -> int:
    """Delete the calls that are older than `KEPT`; return how many."""
    old = MCPCall.objects.filter(created_at__lt=timezone.now() - KEPT)
    swept = 0
    while ids := list(old.order_by("created_at").values_list("pk", flat=True)[:SWEPT_AT_ONCE]):
        swept += MCPCall.objects.filter(pk__in=ids).delete()[0]
    return swept
