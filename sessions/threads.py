"""A thread with a database connection of its own, for async code that talks to the database all day.

Django's own `sync_to_async` would put all of it on the one thread that every request shares.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connections

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseThread:
    """Runs functions one after another on one connection; `close` when done."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the function returns. A broken connection is dropped, so that the next call gets a fresh one."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: _guarded(function, *args, **kwargs))

    async def close(self) -> None:
        """Close the connection and end the thread."""
        await asyncio.get_running_loop().run_in_executor(self._executor, connections.close_all)
        self._executor.shutdown(wait=False)


def _guarded(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except (OperationalError, InterfaceError):
        connections.close_all()
        raise
