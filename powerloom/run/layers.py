"""The channel layer of the embedded mode: in memory, and safe to ring from any thread of the process.

The stock in-memory layer wakes a consumer only when the server's loop happens to turn; here every call is marshaled
onto that loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar  # messages are free-form

from channels.layers import InMemoryChannelLayer


class ThreadSafeInMemoryChannelLayer(InMemoryChannelLayer):
    """`owner` is the server's loop, set once when it starts."""

    owner: ClassVar[asyncio.AbstractEventLoop | None] = None

    @classmethod
    def bind(cls, loop: asyncio.AbstractEventLoop) -> None:
        """Name the loop that owns the consumers."""
        cls.owner = loop

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        await self._on_owner(super().send, channel, message)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        await self._on_owner(super().group_send, group, message)

    async def group_add(self, group: str, channel: str) -> None:
        await self._on_owner(super().group_add, group, channel)

    async def group_discard(self, group: str, channel: str) -> None:
        await self._on_owner(super().group_discard, group, channel)

    async def _on_owner(self, call: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        owner = type(self).owner
        if owner is None or owner is asyncio.get_running_loop() or not owner.is_running():
            await call(*arguments)
        else:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(call(*arguments), owner))
