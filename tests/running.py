"""What sessions need to run for real: a runtime, an agent that is on it, and relays.

    def test_something(running):    # a conftest imports the fixtures
        session = running.invoke("[events=5 rate=50] count")
        with running.relay():
            running.until_status(session, "idle_end_turn")

`tests.recorded` makes sessions without a runtime.
"""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from agents.kinds import SyncKind
from agents.models import Agent
from powerloom.cma.client import CMA
from powerloom.commands.bus import submit
from powerloom.commands.registry import Done
from powerloom.kernel.ids import new_id
from powerloom.reconcile.models import SyncState
from powerloom.run.layers import ThreadSafeInMemoryChannelLayer
from sessions import relay
from sessions.commands import InvokeAgent
from sessions.models import AgentSession, SessionEvent
from sessions.relay.process import relay_once
from tests.declared import make_agent, make_live
from tests.local_runtime import LocalRuntime, local_runtime
from tests.waiting import until
from tests.world import World, actor_of

PATIENCE = 30.0


class RelayThread:
    """A relay in a thread of this process, on a loop of its own. `alone` as in embedded mode; `kill` is without
    farewell.
    """

    def __init__(self, *, alone: bool = False) -> None:
        self._alone = alone
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="relay under test")

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE)

    def stop(self) -> None:
        """End it in order."""
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the relay does not end"

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        ThreadSafeInMemoryChannelLayer.bind(self._loop)
        self._ready.set()
        if self._alone:
            await relay.run(self._stop)
            return
        relaying = asyncio.create_task(relay_once(alone=False))
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait({relaying, stopped}, return_when=asyncio.FIRST_COMPLETED)
        for task in (relaying, stopped):
            task.cancel()
        await asyncio.gather(relaying, stopped, return_exceptions=True)


class Running:
    """A world with a runtime, and one agent that is live on it."""

    def __init__(self, world: World, runtime: LocalRuntime, agent: Agent, remote_id: str) -> None:
        self.world = world
        self.runtime = runtime
        self.agent = agent
        self.remote_id = remote_id

    def invoke(self, prompt: str, **fields: Any) -> AgentSession:
        """Start a session as Alice."""
        command = InvokeAgent(id=new_id(), agent_id=self.agent.id, prompt=prompt, **fields)
        outcome = submit(command, actor=actor_of(self.world.alice))
        assert isinstance(outcome, Done)
        session: AgentSession = outcome.row
        return session

    @contextmanager
    def relay(self, **options: Any) -> Iterator[RelayThread]:
        """A relay for as long as the block lasts."""
        thread = RelayThread(**options)
        thread.start()
        try:
            yield thread
        finally:
            thread.stop()

    def until_status(self, session: AgentSession, *statuses: str, within: float = PATIENCE) -> AgentSession:
        """Wait until the session is in one of the states, and return it."""

        def there() -> bool:
            session.refresh_from_db()
            return session.status in statuses

        until(there, within=within, what=f"{statuses}, it is {session.status}: {session.last_error}")
        return session

    def events(self, session: AgentSession) -> list[SessionEvent]:
        """What is stored of it, in order."""
        return list(SessionEvent.objects.filter(session=session).order_by("seq"))

    def on_runtime(self, session: AgentSession) -> list[dict[str, Any]]:
        """What the runtime has of it, in order."""
        found: list[dict[str, Any]] = async_to_sync(self._listed)(session.cma_session_id)
        return found

    def sessions_on_runtime(self) -> list[dict[str, Any]]:
        """Every session of the agent that the runtime has, archived ones too."""

        async def listed() -> list[dict[str, Any]]:
            async with CMA(base_url=self.runtime.url, api_key=self.runtime.key) as cma:
                return (await cma.sessions.list(agent_id=self.remote_id, include_archived=True)).data

        return async_to_sync(listed)()

    def nothing_lost_or_doubled(self, session: AgentSession) -> None:
        """Hold what is stored against what the runtime has."""
        stored = self.events(session)
        assert [event.seq for event in stored] == list(range(1, len(stored) + 1))
        theirs = [event["id"] for event in self.on_runtime(session)]
        assert [event.remote_id for event in stored if not event.event_type.startswith("powerloom.")] == theirs
        session.refresh_from_db()
        assert (session.last_seq, session.event_count) == (len(stored), len(theirs))

    async def _listed(self, remote_id: str) -> list[dict[str, Any]]:
        async with CMA(base_url=self.runtime.url, api_key=self.runtime.key) as cma:
            found, page = [], None
            while True:
                answer = await cma.events.list(remote_id, page=page)
                found += answer.data
                page = answer.next_page
                if page is None:
                    return found


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRuntime]:
    """A runtime that answers as fast as it can, one for the tests of a file."""
    with local_runtime(tmp_path_factory.mktemp("runtime"), "--pace", "0") as started:
        yield started


@pytest.fixture
def running(committed_world: World, runtime: LocalRuntime, settings: Any) -> Iterator[Running]:
    """The world, with an agent that is live on a runtime; what other tests left there is none of its business."""
    settings.CMA_URL, settings.CMA_KEY = runtime.url, runtime.key
    agent = make_agent(committed_world.alice, committed_world.engineering)
    remote_id = put_on_runtime(agent, runtime)
    yield Running(committed_world, runtime, agent, remote_id)
    ThreadSafeInMemoryChannelLayer.owner = None
    if runtime.process.poll() is not None:
        runtime.start()
    runtime.faults.clear()


def put_on_runtime(agent: Agent, runtime: LocalRuntime) -> str:
    """Do what the reconciler does: make environment and agent there, and say that they are. Returns the agent's id."""

    async def make() -> tuple[str, str]:
        async with CMA(base_url=runtime.url, api_key=runtime.key) as cma:
            environment = await cma.environments.create({"name": f"shared-{agent.id}", "config": {"type": "cloud"}})
            tools = [{"type": "agent_toolset_20260401"}]
            made = await cma.agents.create({"name": agent.name, "model": "claude-sonnet-4-6", "tools": tools})
            return environment["id"], made["id"]

    environment_id, agent_id = async_to_sync(make)()
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT})
    SyncState.objects.filter(kind=SyncKind.ENVIRONMENT).update(remote_id=environment_id)
    SyncState.objects.filter(object_id=agent.id).update(remote_id=agent_id, remote_version="1")
    return agent_id
