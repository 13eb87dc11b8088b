"""`python -m powerloom.cma.local --port PORT --data FOLDER`: run the server.

Prints `listening on http://127.0.0.1:PORT` once it can be called. SIGINT and SIGTERM end it with status 0; turns that
were under way go on when it starts again on the same folder.
"""

import argparse
import asyncio
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from powerloom.cma.local.app import build
from powerloom.cma.local.connections import Connections
from powerloom.cma.local.faults import Faults
from powerloom.cma.local.limits import Limits
from powerloom.cma.local.loop import Engine
from powerloom.cma.local.runtime import Runtime
from powerloom.cma.local.sse import Hub
from powerloom.cma.local.store import Store

HOST = "127.0.0.1"
PACE = 0.2
BACKLOG = 2048
GRACE_SECONDS = 1
KEEP_ALIVE_SECONDS = 75


def arguments(argv: list[str]) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m powerloom.cma.local", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    parser.add_argument("--data", type=Path, required=True, help="folder for the server's own SQLite file")
    # A program passes the key by the environment: arguments are visible to every user of the machine.
    key = os.environ.get("POWERLOOM_LOCAL_KEY") or None
    parser.add_argument("--key", default=key, help="accept this key only (or $POWERLOOM_LOCAL_KEY)")
    parser.add_argument("--limits", action="store_true", help="keep CMA's rate limits")
    parser.add_argument(
        "--faults", action=argparse.BooleanOptionalAction, default=False, help="open /local/faults, for tests"
    )
    parser.add_argument("--pace", type=float, default=PACE, help="usual seconds between two events; 0 for none")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Serve until told to stop."""
    args = arguments(argv)
    _open_many_files()
    # asyncio switches Nagle's algorithm off only where it sees that this is TCP; with it every answer takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, args.port))
        listener.listen(BACKLOG)
        asyncio.run(serve(args, listener))
    return 0


def _open_many_files() -> None:
    """Take as many descriptors as we may: every stream holds one, and the usual 1,024 are soon gone."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def serve(args: argparse.Namespace, listener: socket.socket) -> None:
    """Serve on a socket that already listens."""
    store, hub, connections = Store(args.data), Hub(), Connections()
    faults = Faults(connections) if args.faults else None
    obeys = faults.obeys if faults else lambda: False
    runtime = Runtime(store, hub, Engine(store, hub, pace=max(0.0, args.pace), obeys=obeys))
    app = build(
        runtime,
        key=args.key or None,
        limits=Limits() if args.limits else None,
        faults=faults,
    )
    config = uvicorn.Config(
        app,
        http=protocol(connections),
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,  # a client is who it is; nothing stands in front of us
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    await Server(config, hub).serve(sockets=[listener])


class Server(uvicorn.Server):
    """uvicorn's server, which says when it can be called and ends with status 0 on a signal."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say where."""
        await super().startup(sockets)
        for listener in sockets or []:
            print(f"listening on http://{HOST}:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - the contract

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on a signal. uvicorn's own version would raise the signal again at the end."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True
        self._hub.end_all()


def protocol(connections: Connections) -> type[asyncio.Protocol]:
    """Uvicorn's HTTP protocol, which tells us of its connections."""

    class Known(H11Protocol):
        def connection_made(self, transport: Any) -> None:
            connections.add(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.remove(self.transport)
            super().connection_lost(exc)

    return Known


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
