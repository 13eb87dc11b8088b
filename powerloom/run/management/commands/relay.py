"""`manage.py relay`: the relay as a process of its own. Any number may run."""

from __future__ import annotations

import asyncio
from typing import Any

from powerloom.kernel.leaving import leave, stop_signal
from powerloom.kernel.pageless import PagelessCommand
from sessions import relay


class Command(PagelessCommand):
    help = "Follow running sessions on CMA and store their events. Stops on SIGINT or SIGTERM; any number may run."

    def handle(self, *_args: Any, **_options: Any) -> None:
        asyncio.run(_until_signaled())
        leave()


async def _until_signaled() -> None:
    await relay.run(stop_signal())
