"""Waiting for a condition, for tests that watch processes and sockets: never for a length of time."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0  # a busy machine is slow, and a test that succeeds waits no longer than it must
PAUSE = 0.02


def until(condition: Callable[[], T], *, within: float = PATIENCE, what: str = "the condition") -> T:
    """Answer the condition's first true value; AssertionError naming `what` when there is none `within` seconds."""
    deadline = time.monotonic() + within
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {within:g} s in vain for {what}"
        time.sleep(PAUSE)
    return value


async def eventually(
    condition: Callable[[], Awaitable[T]], *, within: float = PATIENCE, what: str = "the condition"
) -> T:
    """As `until`, for a condition that is awaited."""
    deadline = time.monotonic() + within
    while not (value := await condition()):
        assert time.monotonic() < deadline, f"waited {within:g} s in vain for {what}"
        await asyncio.sleep(PAUSE)
    return value
