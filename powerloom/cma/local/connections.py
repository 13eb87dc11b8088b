"""Open connections by the address they come from, so that a fault can drop one without a word.

ASGI has no way to do that; uvicorn's protocol has.
"""

from asyncio import Transport
from typing import cast

from starlette.types import Scope


class Connections:
    """The connections of one server."""

    def __init__(self) -> None:
        self._open: dict[object, Transport] = {}

    def add(self, transport: Transport) -> None:
        """A client connected."""
        self._open[transport.get_extra_info("peername")] = transport

    def remove(self, transport: Transport) -> None:
        """It is gone."""
        self._open.pop(transport.get_extra_info("peername"), None)

    def cut(self, scope: Scope) -> None:
        """Drop the connection that a request came by."""
        transport = self._open.get(tuple(cast("tuple[str, int]", scope["client"])))
        if transport is not None:
            transport.abort()
