"""Who listens for bells stops when told, whatever the layer is doing that moment."""

import asyncio
from functools import partial

import pytest

from sessions import bells
from tests.waiting import eventually

pytestmark = pytest.mark.redis_only
TURNS = 40  # of the loop; a bell is taken in fewer


async def take(group: str, heard: asyncio.Event) -> None:
    async for _ in bells.heard(group):
        heard.set()


async def is_heard(heard: asyncio.Event) -> bool:
    await bells.ring_readers_soon()
    return heard.is_set()


async def test_a_listener_stops_at_whatever_turn_of_taking_a_bell_it_is_cancelled() -> None:
    stubborn = []
    for turns in range(TURNS):
        heard = asyncio.Event()
        listener = asyncio.create_task(take(bells.READERS, heard))
        await eventually(partial(is_heard, heard), what="a bell")
        await bells.ring_readers_soon()
        for _ in range(turns):
            await asyncio.sleep(0)
        listener.cancel()
        await asyncio.wait([listener], timeout=1)
        if not listener.done():
            stubborn.append(turns)
            listener.cancel()
            await asyncio.wait([listener], timeout=1)
    assert stubborn == []
