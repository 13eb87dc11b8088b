"""The fleet on its own port: part of the embedded process, or the whole of a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from importlib import import_module

import uvicorn

BACKLOG = 1024
CLOSE_SECONDS = 1  # for calls under way; their callers hear of a broken connection then


class FleetFailed(Exception):
    """The fleet could not start, or ended by itself. What happened is in the log."""


class FleetServer(uvicorn.Server):
    """uvicorn, which tells the fleet of start and stop as Daphne does not, and leaves signals to whoever owns them."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer, and say so."""
        await super().startup(sockets)
        if self.started:
            self._on_started()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(listener: socket.socket, stop: asyncio.Event, on_started: Callable[[], None] = lambda: None) -> None:
    """Serve on the socket until `stop` is set. Raises `FleetFailed`."""
    # The MCP SDK takes a second to import: on a thread, so that nothing else on this loop waits for it.
    module = await asyncio.get_running_loop().run_in_executor(None, import_module, "agents.fleet.app")
    config = uvicorn.Config(
        module.application(),
        lifespan="on",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    server = FleetServer(config, on_started)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    server.should_exit = True
    await serving
    if not stop.is_set():
        raise FleetFailed


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises `OSError` when the port is taken."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # The protocol is named, because asyncio sends small answers at once only on sockets that say they are TCP.
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener
