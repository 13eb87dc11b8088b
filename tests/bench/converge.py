"""Converging 1,000 new agents, against the bare SDK creating the same; and how much of CMA's quota is used."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

from anthropic import AsyncAnthropic
from django.conf import settings

from accounts.models import Organization
from agents.kinds import SyncKind
from powerloom.reconcile import engine
from powerloom.reconcile.models import SyncState
from tests.bench.measure import Ratio, measured, watch
from tests.converging import Runtime, make_agents, runtime
from tests.world import make_organization

AGENTS = 1000
ROUNDS = 2
QUOTA = {"create": 300, "other": 600, "environments": 60}
TICK = 2.0


@measured
def converge() -> list[Ratio]:
    with tempfile.TemporaryDirectory() as folder, runtime(Path(folder), settings) as cma:
        organization = make_organization("speed")
        make_agents(organization, 5)
        engine.tick()  # the environment, the imports and the connections of both sides
        plain = _plain_payload(cma)
        ours = bare = 0.0
        for _ in range(ROUNDS):
            bare += _bare(cma, plain)
            ours += _ours(organization)
    told = (
        f"{ours / ROUNDS:.2f} s to {bare / ROUNDS:.2f} s for {AGENTS} agents, {settings.RECONCILE_CONCURRENCY} at once"
    )
    return [Ratio("from rows committed to last recorded, to the bare SDK", ours / bare, at_most=2, told=told)]


@measured
def use_the_quota() -> list[Ratio]:
    with tempfile.TemporaryDirectory() as folder, runtime(Path(folder), settings, "--limits") as cma:
        settings.CMA_RATES = QUOTA
        organization = make_organization("quota")
        make_agents(organization, 400)
        _tick_until(time.monotonic() + 6)  # the burst is over
        before, began = len(cma.agents()), time.monotonic()
        _tick_until(began + 40)
        seconds = time.monotonic() - began
        made = len(cma.agents()) - before
        refused = SyncState.objects.filter(kind=SyncKind.AGENT, attempts__gt=0).count()
    told = f"{made} agents in {seconds:.0f} s at {QUOTA['create']} a minute, {refused} refused"
    return [Ratio("share of the quota of creates", made / seconds / (QUOTA["create"] / 60), at_least=0.9, told=told)]


def _ours(organization: Organization) -> float:
    agents = make_agents(organization, AGENTS)
    with watch() as stopped:
        engine.tick()
    ids = [agent.id for agent in agents]
    assert not SyncState.objects.filter(object_id__in=ids, is_due=True).exists(), "not everything converged"
    return stopped.seconds


def _bare(cma: Runtime, payload: dict[str, Any]) -> float:
    async def create_all() -> None:
        slots = asyncio.Semaphore(settings.RECONCILE_CONCURRENCY)
        async with AsyncAnthropic(base_url=cma.process.url, api_key=cma.process.key, max_retries=0) as client:

            async def create() -> None:
                async with slots:
                    await client.beta.agents.create(**payload)

            await asyncio.gather(*(create() for _ in range(AGENTS)))

    with watch() as stopped:
        asyncio.run(create_all())
    return stopped.seconds


def _plain_payload(cma: Runtime) -> dict[str, Any]:
    """What we send for such an agent, for the SDK to send too."""
    agent = cma.agents()[0]
    sent = ("name", "description", "model", "system", "tools", "mcp_servers", "skills", "metadata")
    return {name: agent[name] for name in sent}


def _tick_until(ends_at: float) -> None:
    """Tick as beat does."""
    while (now := time.monotonic()) < ends_at:
        engine.tick()
        time.sleep(max(0.0, now + TICK - time.monotonic()))
