"""Who listens for bells goes on though the layer forgets it, and stops when told, whatever the layer does just then."""

import asyncio
from functools import partial
from typing import Any

import pytest
from channels.layers import get_channel_layer

from sessions import bells
from tests.waiting import eventually

TURNS = 40  # of the loop; a bell is taken in fewer


async def take(group: str, heard: asyncio.Event) -> None:
    async for _ in bells.heard(group):
        heard.set()


async def is_heard(heard: asyncio.Event) -> bool:
    await bells.ring_readers_soon()
    return heard.is_set()


async def test_a_listener_that_the_layer_has_forgotten_hears_again(monkeypatch: pytest.MonkeyPatch) -> None:
    layer: Any = get_channel_layer()
    assert layer.group_expiry / 2 > bells.RENEW_SECONDS
    monkeypatch.setattr(bells, "RENEW_SECONDS", 0.05)
    heard = asyncio.Event()
    listener = asyncio.create_task(take(bells.READERS, heard))
    await eventually(partial(is_heard, heard), what="a bell")
    await layer.flush()
    heard.clear()
    await eventually(partial(is_heard, heard), what="a bell after that")
    listener.cancel()
    await asyncio.wait([listener])


@pytest.mark.redis_only
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
