"""`manage.py relay`: the relay as a process of its own. Any number may run."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from powerloom.kernel.pageless import PagelessCommand
from sessions import relay


class Command(PagelessCommand):
    help = "Follow running sessions on CMA and store their events. Stops on SIGINT or SIGTERM; any number may run."

    def handle(self, *_args: Any, **_options: Any) -> None:
        asyncio.run(_until_signaled())


async def _until_signaled() -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await relay.run(stop)
