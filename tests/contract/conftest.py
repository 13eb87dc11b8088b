"""The contract: what CMA's official SDK, in strict response validation, must see.

Every test here runs against the local runtime, started as a process of its own. With ANTHROPIC_API_KEY it runs against
the hosted service too (POWERLOOM_CMA_URL names another address), so that the stand-in cannot drift. Without a key the
hosted half is skipped; where CI=true it is not collected.
"""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx2
import pytest
from anthropic import AsyncAnthropic
from anthropic.types.beta import BetaEnvironment, BetaManagedAgentsAgent

from powerloom.kernel.tls import trust
from tests import conftest as house
from tests.local_runtime import LocalRuntime, local_runtime

HOSTED = "https://api.anthropic.com"
MODEL = "claude-sonnet-4-6"
ON_CI = os.environ.get("CI", "").lower() in {"1", "true"}
NO_KEY = "the hosted service needs ANTHROPIC_API_KEY"
PARTS = ["local"] if ON_CI and not os.environ.get("ANTHROPIC_API_KEY") else ["local", "hosted"]


@dataclass(frozen=True)
class Service:
    """Where CMA is, and the key for it."""

    url: str
    key: str

    def client(self, *, strict: bool = True) -> AsyncAnthropic:
        """The official SDK."""
        http = httpx2.AsyncClient(
            verify=trust(), trust_env="127.0.0.1" not in self.url, timeout=60, follow_redirects=True
        )
        return AsyncAnthropic(base_url=self.url, api_key=self.key, http_client=http, _strict_response_validation=strict)


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    """The local runtime, as fast as it can be."""
    with local_runtime(tmp_path_factory.mktemp("cma"), "--pace", "0.002") as started:
        yield started


@pytest.fixture(params=PARTS)
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Service:
    """Each of the two services in turn."""
    if request.param == "local":
        started: LocalRuntime = request.getfixturevalue("runtime")
        return Service(started.url, started.key)
    key = os.environ.get("ANTHROPIC_API_KEY")
    if not key:
        pytest.skip(NO_KEY)
    monkeypatch.setattr(house, "is_here", lambda _host: True)  # this half is about another machine
    return Service(os.environ.get("POWERLOOM_CMA_URL", HOSTED), key)


@pytest.fixture
def local(runtime: LocalRuntime) -> Service:
    """The local runtime only, for what the hosted service would not do on demand."""
    return Service(runtime.url, runtime.key)


@pytest.fixture
async def client(service: Service) -> AsyncIterator[AsyncAnthropic]:
    """The SDK at the service under test."""
    async with service.client() as made:
        yield made


@pytest.fixture
async def local_client(local: Service) -> AsyncIterator[AsyncAnthropic]:
    """The SDK at the local runtime."""
    async with local.client() as made:
        yield made


@pytest.fixture
async def agent(client: AsyncAnthropic) -> AsyncIterator[BetaManagedAgentsAgent]:
    """An agent with the built-in tools."""
    made = await client.beta.agents.create(name="contract", model=MODEL, tools=[{"type": "agent_toolset_20260401"}])
    yield made
    await client.beta.agents.archive(made.id)


@pytest.fixture
async def environment(client: AsyncAnthropic) -> AsyncIterator[BetaEnvironment]:
    """A cloud environment."""
    made = await client.beta.environments.create(name="contract", config={"type": "cloud"})
    yield made
    await client.beta.environments.archive(made.id)


@pytest.fixture
def skill_folder() -> list[tuple[str, bytes, str]]:
    """A small skill's files, as the SDK uploads them."""
    return skill_files("greeting", "Says hello")


def skill_files(name: str, description: str, extra: bytes = b"print('hello')\n") -> list[tuple[str, bytes, str]]:
    """A skill of two files in a directory and one below it."""
    manifest = f"---\nname: {name}\ndescription: {description}\n---\n# {name}\n".encode()
    return [
        (f"{name}/SKILL.md", manifest, "text/markdown"),
        (f"{name}/scripts/run.py", extra, "text/x-python"),
    ]
