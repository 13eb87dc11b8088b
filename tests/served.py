"""The whole product on a runtime of our own, with one agent that is live: for what is measured from outside."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from powerloom.run import devorg
from tests.local_runtime import LocalRuntime, local_runtime
from tests.product import Product, begun
from tests.programs import Begin, start
from tests.waiting import until

LIVE_SECONDS = 60


@dataclass
class Served:
    """The product, its runtime, and the agent to invoke."""

    product: Product
    runtime: LocalRuntime
    api: httpx.Client
    agent_id: str

    def invoke(self, prompt: str, **fields: Any) -> dict[str, Any]:
        """Start a session."""
        answer = self.api.post(f"/agents/{self.agent_id}/invoke", json={"prompt": prompt, **fields})
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    def socket_url(self, invoked: dict[str, Any]) -> str:
        """Where its socket is."""
        return f"{self.product.url.replace('http', 'ws', 1)}/api{invoked['ws_url']}"

    async def invoke_all(self, prompts: list[str], **fields: Any) -> list[dict[str, Any]]:
        """Start many sessions, a few at a time."""
        slots = asyncio.Semaphore(8)
        async with httpx.AsyncClient(
            base_url=self.api.base_url, headers=self.api.headers, timeout=600, trust_env=False
        ) as client:

            async def invoke(prompt: str) -> dict[str, Any]:
                async with slots:
                    body = {"prompt": prompt, **fields}
                    answer = await client.post(f"/agents/{self.agent_id}/invoke", json=body)
                found: dict[str, Any] = answer.raise_for_status().json()
                return found

            return await asyncio.gather(*map(invoke, prompts))


@contextmanager
def served(folder: Path, begin: Begin = start) -> Iterator[Served]:
    """Run runtime and product for the length of the block, once an agent is live."""
    with local_runtime(folder / "runtime", "--pace", "0") as runtime:
        hosted = {"POWERLOOM_CMA_URL": runtime.url, "ANTHROPIC_API_KEY": runtime.key, "POWERLOOM_DEV": "1"}
        with begun(folder / "home", begin, "--no-story", **hosted) as running:
            running.wait_ready()
            with running.client(devorg.ADMIN) as api:
                yield Served(running, runtime, api, _live_agent(api))
            running.stop()


def _live_agent(api: httpx.Client) -> str:
    root = api.get("/ous/tree").raise_for_status().json()[0]
    body = {"name": "measured", "display_name": "Measured", "model": "claude-sonnet-4-6", "system_prompt": "Count."}
    agent: str = api.post("/agents", json={**body, "ou_id": root["id"]}).raise_for_status().json()["id"]

    def is_live() -> bool:
        return bool(api.get(f"/agents/{agent}/sync-status").json()["status"] == "synced")

    until(is_live, within=LIVE_SECONDS, what="the agent to be live")
    return agent
