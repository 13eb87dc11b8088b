"""Threads with database connections of their own, for async code that talks to the database all day.

Django's own `sync_to_async` would put all of it on the one thread that every request shares.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseThreads:
    """Runs functions on a fixed number of threads, each with one connection; `close` when done."""

    def __init__(self, name: str, *, count: int) -> None:
        self._count = count
        self._executor = ThreadPoolExecutor(max_workers=count, thread_name_prefix=name)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns. A broken connection is dropped, so that the next call gets a fresh one."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: _guarded(function, *args, **kwargs))

    async def close(self) -> None:
        """Close the connections and end the threads."""
        together = Barrier(self._count)  # each thread meets the others, so that none closes twice and none never
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(self._executor, _leave, together) for _ in range(self._count)))
        self._executor.shutdown(wait=False)


class DatabaseThread(DatabaseThreads):
    """One of them: functions run one after another."""

    def __init__(self, name: str) -> None:
        super().__init__(name, count=1)


def _leave(together: Barrier) -> None:
    connections.close_all()
    together.wait()


def _guarded(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except (OperationalError, InterfaceError):
        connections.close_all()
        raise
