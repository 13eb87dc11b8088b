"""The embedded mode: web, relay, worker, beat and fleet in one process, stopped within seconds.

    reactor starts → relay and fleet (tasks in its loop) → worker thread → beat thread → ready
    SIGINT/SIGTERM → relay and fleet drain, beat and worker stop, sockets close → exit 0

Nothing that stops here can lose work: the database is the only truth, and what was under way is found again by the
sweeps.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any  # Twisted is untyped

import daphne.server  # noqa: F401  it installs the asyncio reactor, so it comes before whatever imports Twisted's
from daphne.server import Server  # before Twisted's reactor: it chooses the one that runs on asyncio
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from powerloom.kernel.leaving import leave_in_time
from powerloom.run import fleet
from powerloom.run.background import Beat, Worker
from powerloom.run.layers import ThreadSafeInMemoryChannelLayer
from powerloom.run.readiness import parts
from powerloom.run.server import web_server
from sessions import relay

log = logging.getLogger(__name__)

DRAIN_SECONDS = 2.0  # for the relay to write what it has, and for calls under way at the fleet


class Embedded:
    """Owns the parts of the one process. `run` returns when it was told to stop; `on_late` ends the process where that
    takes too long.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        fleet_socket: socket.socket,
        on_ready: Callable[[], None],
        on_late: Callable[[], None],
    ) -> None:
        self._on_ready = on_ready
        self._on_late = on_late
        self._fleet_socket = fleet_socket
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.is_stopping = False  # whoever still talks to this process will be cut off
        self._background = (Beat(), Worker())
        self._server: Server = web_server(host=host, port=port, on_stop=self._stop)

    def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        owner: Any = reactor
        owner.callWhenRunning(self._start)
        self._server.run()

    def stop(self) -> None:
        """Ask for the end from any thread."""
        owner: Any = reactor
        owner.callFromThread(owner.stop)

    def _start(self) -> None:
        loop = asyncio.get_event_loop()
        ThreadSafeInMemoryChannelLayer.bind(loop)
        serving = fleet.serve(self._fleet_socket, self._stopping, lambda: parts.started("fleet"))
        for name, running in (("relay", relay.run(self._stopping)), ("fleet", serving)):
            task = loop.create_task(running, name=name)
            task.add_done_callback(self._ended)
            self._tasks.add(task)
        for part in self._background:
            part.start()
        parts.started("relay", "worker", "beat")
        self._on_ready()

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            log.critical("The %s failed; stopping", task.get_name(), exc_info=error)
            self.stop()

    def _stop(self) -> Deferred[None]:
        self.is_stopping = True
        leave_in_time(self._on_late)
        parts.stopped()
        self._stopping.set()
        return Deferred.fromFuture(asyncio.ensure_future(self._drain()))

    async def _drain(self) -> None:
        ends = [asyncio.to_thread(part.stop) for part in self._background]
        await asyncio.gather(self._drain_tasks(), *ends)

    async def _drain_tasks(self) -> None:
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
