"""The fleet as a process of its own, and agents that may call what it serves."""

import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from accounts import sealing
from accounts.models import OU, User
from agents.kinds import SyncKind
from agents.models import Agent, Credential, MCPDeployment, MCPServer
from powerloom.kernel.tls import trust
from sessions.models import AgentSession
from tests.declared import make_agent, make_live
from tests.product import STOP_SECONDS
from tests.programs import Begin, Process, start
from tests.recorded import invoked
from tests.servers import free_port
from tests.waiting import until
from tests.wired import make_credential, make_managed, wire

START_SECONDS = 30


@dataclass(frozen=True)
class Caller:
    """An agent with a deployment, the bearer for it and a session."""

    agent: Agent
    server: MCPServer
    deployment: MCPDeployment
    credential: Credential
    session: AgentSession
    bearer: str

    @property
    def path(self) -> str:
        return f"/mcp/{self.deployment.pk}/mcp"


def make_caller(by: User, ou: OU, name: str = "parrot", *, policy: Mapping[str, Any] | None = None) -> Caller:
    """Make a running echo deployment and an agent that has it, with a session that has not ended."""
    server = make_managed(ou, name)
    agent = make_agent(by, ou, f"{name}-keeper")
    return caller_of(by, agent, server, policy=policy)


def caller_of(by: User, agent: Agent, server: MCPServer, *, policy: Mapping[str, Any] | None = None) -> Caller:
    """Give an agent a server with all that it takes to call it."""
    assert server.deployment is not None
    set_policy(server.deployment, policy or {})
    wire(agent, server)
    credential = make_credential(by, agent, server)
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT, SyncKind.CREDENTIAL})
    return Caller(agent, server, server.deployment, credential, invoked(agent, by), bearer_of(credential))


def bearer_of(credential: Credential) -> str:
    """Return what the vault has."""
    assert credential.sealed is not None
    return sealing.unseal(credential.sealed)


def set_policy(deployment: MCPDeployment, policy: Mapping[str, Any]) -> None:
    """Change the policy as its command does."""
    MCPDeployment.objects.filter(pk=deployment.pk).update(policy=policy)


@dataclass
class FleetProcess:
    """`manage.py fleet`, or another program in its place."""

    url: str
    process: Process
    log: Path

    def stop(self) -> int:
        """Ask it to end, as an operator would; gives its exit status, within the time that is promised."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def fleet_process(
    environment: Mapping[str, str],
    log: Path,
    command: tuple[str, ...] = ("manage.py", "fleet", "--port"),
    begin: Begin = start,
) -> Iterator[FleetProcess]:
    """Run the fleet for the length of the block, once it answers."""
    port = free_port()
    with log.open("wb") as out:
        process = begin(*command, str(port), env=environment, out=out)
    running = FleetProcess(f"http://127.0.0.1:{port}", process, log)

    def answers() -> bool:
        assert process.poll() is None, f"ended with {process.returncode}:\n{log.read_text()}"
        try:
            httpx.get(running.url, trust_env=False, verify=trust())
        except httpx.TransportError:
            return False
        return True

    try:
        until(answers, within=START_SECONDS, what=f"the fleet:\n{log.read_text()}")
        yield running
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def mcp_client(url: str, bearer: str, mode: Any = "auto") -> AsyncIterator[Client]:
    """The official SDK's client, connected."""
    http = httpx2.AsyncClient(
        headers={"authorization": f"Bearer {bearer}"}, trust_env=False, timeout=30, verify=trust()
    )
    async with http, Client(streamable_http_client(url, http_client=http), mode=mode) as client:
        yield client
