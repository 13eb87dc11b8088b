"""From an event on the runtime to a client's socket, against a bare SDK stream of the same events, side by side."""

import asyncio
import json
import tempfile
import time
from collections.abc import Iterable
from datetime import datetime
from math import isnan
from pathlib import Path
from statistics import median
from typing import Any

from anthropic import AsyncAnthropic
from websockets.asyncio.client import connect

from tests.bench.measure import Ratio, measured
from tests.programs import by_command_line
from tests.served import Served, served

PAIRS = 3
Heard = dict[str, tuple[float, str]]  # by event id: seconds since it happened, its type


@measured
def follow() -> list[Ratio]:
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), by_command_line) as product:
        asyncio.run(_ours(product, sessions=2, events=20, rate=20))  # imports and connections of both sides
        asyncio.run(_bare(product, sessions=2, events=20, rate=20))
        return [
            _compared(product, sessions=1, events=200, rate=20, at_most=6),
            _compared(product, sessions=200, events=20, rate=1, at_most=20),
        ]


def _compared(product: Served, *, sessions: int, events: int, rate: int, at_most: float) -> Ratio:
    """Compare `PAIRS` times, because a machine is not equally busy all the time; the middle ratio counts."""
    pairs = []
    for _ in range(PAIRS):
        bare = asyncio.run(_bare(product, sessions=sessions, events=events, rate=rate))
        ours = asyncio.run(_ours(product, sessions=sessions, events=events, rate=rate))
        for heard in (*bare, *ours):
            said = sum(kind == "agent.message" for _, kind in heard.values())
            assert said == events, f"{said} of {events} messages"
        pairs.append((_typical(ours) / _typical(bare), _typical(ours), _typical(bare)))
    ratio, typical, bare_typical = sorted(pairs)[PAIRS // 2]
    told = f"{typical * 1000:.2f} ms to {bare_typical * 1000:.2f} ms, nothing lost or doubled"
    return Ratio(f"{sessions} × {rate} events/s, event to socket, to a bare stream", ratio, at_most=at_most, told=told)


def _typical(sessions: Iterable[Heard]) -> float:
    return median(seconds for heard in sessions for seconds, _ in heard.values() if not isnan(seconds))


def _age(moment: str | datetime) -> float:
    at = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return time.time() - at.timestamp()


def _note(heard: Heard, event_id: str, moment: str | datetime, kind: str) -> None:
    assert event_id not in heard, f"{kind} came twice"
    heard[event_id] = (_age(moment), kind)


# --- A bare SDK stream


async def _bare(product: Served, *, sessions: int, events: int, rate: int) -> list[Heard]:
    async with AsyncAnthropic(base_url=product.runtime.url, api_key=product.runtime.key, max_retries=0) as client:
        agent = (await client.beta.agents.list()).data[0]
        environment = (await client.beta.environments.list()).data[0]

        async def follow(number: int) -> Heard:
            await asyncio.sleep(number / sessions / rate)
            session = await client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
            stream = await client.beta.sessions.events.stream(session.id)
            text: Any = {"type": "text", "text": f"[events={events} rate={rate}] count"}
            heard: Heard = {}
            async with stream:
                await client.beta.sessions.events.send(session.id, events=[{"type": "user.message", "content": [text]}])
                async for told in stream:
                    event: Any = told  # a union of 44 types; all that are not previews have these fields
                    _note(heard, event.id, event.processed_at, event.type)
                    if event.type == "session.status_idle":
                        return heard
            raise AssertionError("the stream ended early")

        return await asyncio.gather(*map(follow, range(sessions)))


# --- Through the product


async def _ours(product: Served, *, sessions: int, events: int, rate: int) -> list[Heard]:
    prompt = f"[events={events} rate={rate}] count"
    invoking = asyncio.create_task(product.invoke_all([prompt] * sessions))
    return await asyncio.gather(*(_follow(product, invoked) for invoked in await invoking))


async def _follow(product: Served, invoked: dict[str, Any]) -> Heard:
    heard: Heard = {}
    async with connect(product.socket_url(invoked), proxy=None) as socket:
        # What happened before the socket was open says nothing about speed, but it must be there.
        opened = time.time()
        async for text in socket:
            frame = json.loads(text)
            moment = frame["payload"].get("processed_at")
            if moment:
                _note(heard, frame["payload"]["id"], moment, frame["type"])
                if datetime.fromisoformat(moment).timestamp() < opened:
                    heard[frame["payload"]["id"]] = (float("nan"), frame["type"])
    return heard
