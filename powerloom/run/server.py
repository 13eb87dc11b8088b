"""The web server: Daphne, with a stop that keeps its promise of seconds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any  # what Twisted waits for

from daphne.server import Server  # before Twisted's reactor: it chooses the one that runs on asyncio
from twisted.internet import reactor

CLOSE_SECONDS = 1  # for requests under way; open sockets are closed and their clients come back


class WebServer(Server):  # type: ignore[misc]  # Daphne is untyped
    """Daphne, which tells every request under way of the stop."""

    def kill_all_applications(self) -> Any:
        """Cancel them. Daphne gives up at the first connection without an application, as one has that just became a
        socket, and then nobody is told.
        """
        nothing = asyncio.get_event_loop().create_future()
        nothing.set_result(None)
        for details in self.connections.values():
            details.setdefault("application_instance", nothing)
        return super().kill_all_applications()


def web_server(*, host: str, port: int, on_stop: Callable[[], Any]) -> Server:
    """Return a server of console, API and sockets; its `run` returns after SIGINT or SIGTERM, which call `on_stop` and
    wait for the Deferred that it may return.
    """
    from powerloom.asgi import application  # noqa: PLC0415  builds the whole URL tree, once settings are final

    owner: Any = reactor
    owner.addSystemEventTrigger("before", "shutdown", on_stop)
    return WebServer(
        application=application,
        endpoints=[f"tcp:port={port}:interface={host}"],
        signal_handlers=True,
        application_close_timeout=CLOSE_SECONDS,
        verbosity=0,
        server_name="powerloom",
    )
