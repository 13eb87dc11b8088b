import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from agents.fleet.rates import DEFAULT, Rates
from powerloom.kernel.ids import new_id


@asynccontextmanager
async def counting() -> AsyncIterator[Rates]:
    """The rates of one process."""
    rates = Rates()
    yield rates
    await rates.close()


async def test_calls_pass_up_to_the_rate_and_then_wait_for_the_minute() -> None:
    here, there = new_id(), new_id()
    async with counting() as rates:
        assert [await rates.take(here, 3) for _ in range(3)] == [0, 0, 0]
        assert 1 <= await rates.take(here, 3) <= 60
        assert await rates.take(there, 3) == 0


async def test_there_is_a_rate_without_one_in_the_policy() -> None:
    here = new_id()
    async with counting() as rates:
        assert not any([await rates.take(here, None) for _ in range(DEFAULT)])
        assert await rates.take(here, None)


@pytest.mark.redis_only
async def test_processes_count_together() -> None:
    here = new_id()
    async with counting() as one, counting() as other:
        assert [await rates.take(here, 2) for rates in (one, other)] == [0, 0]
        assert await one.take(here, 2)
        assert await other.take(here, 2)


async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take all that comes, and answer nothing."""
    await reader.read()
    writer.close()


@pytest.fixture(params=["refuses", "never answers"])
async def lost_redis(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The address of one that is not there any more."""
    if request.param == "refuses":
        yield "redis://127.0.0.1:1/0"
        return
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"


async def test_without_the_shared_count_each_process_keeps_to_the_rate(settings: Any, lost_redis: str) -> None:
    settings.REDIS_URL = lost_redis
    here = new_id()
    async with counting() as rates:
        assert await rates.take(here, 1) == 0
        assert await rates.take(here, 1)
