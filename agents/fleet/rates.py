"""How many calls a minute a deployment takes: counted through Redis for all processes when there is one, else here."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import Any
from uuid import UUID

from django.conf import settings
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from redis.asyncio import ConnectionPool

log = logging.getLogger(__name__)

DEFAULT = 600
SECONDS_FOR_REDIS = 0.5


class Rates:
    """One a process; `close` when done."""

    def __init__(self) -> None:
        self._here = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._pool = _pool(settings.REDIS_URL) if settings.REDIS_URL else None
        self._shared = _shared(self._pool) if self._pool else None

    async def take(self, deployment_id: UUID, calls_per_minute: int | None) -> int:
        """Count a call. Return 0 when it may pass, else after how many seconds the next one may."""
        item = RateLimitItemPerMinute(calls_per_minute or DEFAULT)
        if self._shared is not None:
            try:
                async with asyncio.timeout(SECONDS_FOR_REDIS):
                    return await _take(self._shared, item, deployment_id)
            except Exception as error:  # noqa: BLE001  the library wraps none of its storage's errors
                # Without the shared count each process keeps to the limit by itself, which is better than none.
                log.warning("The shared call rates are not there; counting here", extra={"why": type(error).__name__})
        return await _take(self._here, item, deployment_id)

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await self._pool.aclose()


async def _take(limiter: SlidingWindowCounterRateLimiter, item: RateLimitItemPerMinute, deployment_id: UUID) -> int:
    key = str(deployment_id)
    if await limiter.hit(item, "mcp-calls", key):
        return 0
    window = await limiter.get_window_stats(item, "mcp-calls", key)
    return max(1, math.ceil(window.reset_time - time.time()))


def _pool(url: str) -> ConnectionPool:
    # Without a `socket_timeout` of redis-py's, whose `asyncio.wait_for` can swallow a cancel before Python 3.12.
    pool: ConnectionPool = ConnectionPool.from_url(url, socket_timeout=None)
    return pool


def _shared(pool: ConnectionPool) -> SlidingWindowCounterRateLimiter:
    # A pool of ours, because the library's own is never closed; its annotations do not know that it takes one.
    options: dict[str, Any] = {"connection_pool": pool}
    storage = RedisStorage(f"async+{settings.REDIS_URL}", implementation="redispy", **options)
    return SlidingWindowCounterRateLimiter(storage)
