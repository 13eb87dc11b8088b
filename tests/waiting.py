"""Waiting for a condition, for tests that watch processes and sockets: never for a length of time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 60.0  # a busy machine is slow, and a test that succeeds waits no longer than it must
FIRST_PAUSE, LAST_PAUSE = 0.02, 0.25  # who looks all the time takes the processor from what it waits for


def pauses() -> Iterator[float]:
    """Ever longer ones."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 1.2, LAST_PAUSE)


def until(condition: Callable[[], T], *, within: float = PATIENCE, what: str = "the condition") -> T:
    """Answer the condition's first true value; AssertionError naming `what` when there is none `within` seconds."""
    deadline, pause = time.monotonic() + within, pauses()
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {within:g} s in vain for {what}"
        time.sleep(next(pause))
    return value


async def eventually(
    condition: Callable[[], Awaitable[T]], *, within: float = PATIENCE, what: str = "the condition"
) -> T:
    """As `until`, for a condition that is awaited."""
    deadline, pause = time.monotonic() + within, pauses()
    while not (value := await condition()):
        assert time.monotonic() < deadline, f"waited {within:g} s in vain for {what}"
        await asyncio.sleep(next(pause))
    return value
