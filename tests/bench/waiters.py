"""200 clients that wait for a session in sync mode, against one: threads, memory, everybody else's requests."""

import asyncio
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from tests.bench.measure import Ratio, measured
from tests.programs import by_command_line
from tests.served import Served, served
from tests.waiting import eventually

MANY = 200
PROMPT = "[events=1 slow=100] wait"  # longer than a busy machine takes to start them all; each is interrupted
OTHERS = 60


@dataclass(frozen=True)
class Seen:
    """The product while clients wait."""

    threads: int
    memory: int  # kB
    request: float  # seconds of somebody else's request, median


@measured
def wait() -> list[Ratio]:
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), by_command_line) as product:
        asyncio.run(_waiting(product, MANY))  # once, so that connections and pools are as they will be
        one = asyncio.run(_waiting(product, 1))
        many = asyncio.run(_waiting(product, MANY))
    return [
        Ratio("threads", many.threads / one.threads, at_most=1.1, told=f"{many.threads} to {one.threads}"),
        Ratio("memory", many.memory / one.memory, at_most=1.25, told=f"{many.memory} kB to {one.memory} kB"),
        Ratio(
            "another request's time",
            many.request / one.request,
            at_most=1.5,
            told=f"{many.request * 1000:.1f} ms to {one.request * 1000:.1f} ms",
        ),
    ]


async def _waiting(product: Served, clients: int) -> Seen:
    """Look at the product while so many clients wait, then let all of them end."""
    limits = httpx.Limits(max_connections=None)
    headers = product.api.headers
    async with httpx.AsyncClient(
        base_url=product.api.base_url, headers=headers, timeout=120, trust_env=False, limits=limits
    ) as client:
        waiting = [asyncio.create_task(_invoke(client, product.agent_id)) for _ in range(clients)]

        async def all_wait() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = (await client.get("/sessions", params={"status": "running"})).json()
            return found if len(found) >= clients else []

        running = await eventually(all_wait, within=90, what=f"{clients} running sessions")
        seen = await _look(product, client)
        assert not any(task.done() for task in waiting), "they do not wait"
        for session in running:
            (await client.post(f"/sessions/{session['id']}/interrupt")).raise_for_status()
        for answer in await asyncio.gather(*waiting):
            assert answer["status"] == "idle_end_turn", answer
        return seen


async def _invoke(client: httpx.AsyncClient, agent_id: str) -> dict[str, Any]:
    answer = await client.post(f"/agents/{agent_id}/invoke", json={"prompt": PROMPT, "mode": "sync"})
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


async def _look(product: Served, client: httpx.AsyncClient) -> Seen:
    seconds = []
    for _ in range(OTHERS):
        start = time.perf_counter()
        (await client.get("/me")).raise_for_status()
        seconds.append(time.perf_counter() - start)
    status = _status(product.product.process.pid)
    return Seen(int(status["Threads"]), int(status["VmRSS"].split()[0]), median(seconds))


def _status(pid: int) -> dict[str, str]:
    """What the kernel says of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines)
