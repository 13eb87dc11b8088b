"""A tool call at the fleet, with bearer, rights, policy and log, against a bare MCP server with the same tool."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from django.conf import settings
from mcp import Client

from agents.models import MCPCall
from tests.bench.measure import Ratio, measured
from tests.fleet import Caller, fleet_process, make_caller, mcp_client
from tests.product import environment_for
from tests.programs import by_command_line
from tests.world import make_world

CALLS = 400
WARM = 40
CALLERS = 100
CALLS_EACH = 5
NO_RATE = {"calls_per_minute": 6000}


@measured
def call() -> list[Ratio]:
    with _both() as (bare, ours, caller):
        ratios = [asyncio.run(_compared(bare, ours, caller, mode)) for mode in ("2026-07-28", "legacy")]
        logged = MCPCall.objects.count()
        parallel = asyncio.run(_parallel(ours, caller))
        assert MCPCall.objects.count() == logged + CALLERS * CALLS_EACH, "not every call was logged"
    return [*ratios, parallel]


@contextmanager
def _both() -> Iterator[tuple[str, str, Caller]]:
    caller = _caller()
    environment = environment_for(settings.HOME, POWERLOOM_DEV="1")
    with (
        tempfile.TemporaryDirectory() as folder,
        fleet_process(environment, Path(folder, "bare.log"), ("-m", "tests.bare_mcp"), by_command_line) as bare,
        fleet_process(environment, Path(folder, "fleet.log"), begin=by_command_line) as ours,
    ):
        yield f"{bare.url}/mcp", f"{ours.url}{caller.path}", caller


def _caller() -> Caller:
    world = make_world()
    return make_caller(world.alice, world.platform, policy=NO_RATE)


async def _compared(bare: str, ours: str, caller: Caller, mode: str) -> Ratio:
    """Turn about, so that whatever else the machine does strikes both."""
    async with mcp_client(bare, "any", mode) as plain, mcp_client(ours, caller.bearer, mode) as governed:
        for client in (plain, governed):
            for _ in range(WARM):
                await _timed(client)
        seconds = [(await _timed(plain), await _timed(governed)) for _ in range(CALLS)]
    without, with_us = (median(side) for side in zip(*seconds, strict=True))
    told = f"{with_us * 1000:.2f} ms to {without * 1000:.2f} ms"
    return Ratio(f"a tool call in protocol {mode}, to a bare server's", with_us / without, at_most=2.5, told=told)


async def _parallel(ours: str, caller: Caller) -> Ratio:
    """Callers of one process at once; every call must be answered."""

    async def calls() -> None:
        async with mcp_client(ours, caller.bearer, "2026-07-28") as client:
            for _ in range(CALLS_EACH):
                await _timed(client)

    began = time.perf_counter()
    outcomes = await asyncio.gather(*(calls() for _ in range(CALLERS)), return_exceptions=True)
    refused = [outcome for outcome in outcomes if outcome is not None]
    told = f"{CALLERS * CALLS_EACH} calls in {time.perf_counter() - began:.1f} s, {refused[:1] or 'none'} refused"
    share = (CALLERS - len(refused)) / CALLERS
    return Ratio(f"share of {CALLERS} parallel callers that got every answer", share, at_least=1, told=told)


async def _timed(client: Client) -> float:
    began = time.perf_counter()
    answer = await client.call_tool("echo", {"text": "hello"})
    assert not answer.is_error, answer
    return time.perf_counter() - began
