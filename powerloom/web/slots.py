"""How many requests are worked on at once. Django gives each its own thread and connection, so a burst without a limit
is a burst of threads that fight for one database; with it the rest waits its turn, in order, at the cost of a future.
"""

from __future__ import annotations

import asyncio
from typing import Any  # ASGI


class Slots:
    """Wraps an ASGI application and lets `most` requests into it at a time."""

    def __init__(self, app: Any, *, most: int) -> None:
        self._app = app
        self._slots = asyncio.Semaphore(most)

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        async with self._slots:
            await self._app(scope, receive, send)
