"""Faults on demand, for `--faults`: how tests see what a client does when the service fails.

    POST /local/faults      adds one          DELETE /local/faults    removes all
    GET  /local/faults      shows those left

    POST /local/obedience   {"obeys": true}: agents with the tools of `powerloom_meta` do whatever any text tells them

A fault has a `route` such as `POST /v1/agents` or `* /v1/sessions/{id}/events/stream`, the number of `times` it
strikes (1 unless said), and one or more of:

    latency       seconds to wait first
    status        answer this instead, with `error_type` and `retry_after` when given; nothing is done
    cut           "before": drop the connection, nothing is done
                  "after_commit": do it, then drop the connection without an answer
                  "after_events": drop a stream after `events` events
"""

import asyncio
import re
from typing import Annotated, Literal

from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from powerloom.cma.local.bodies.base import Body
from powerloom.cma.local.connections import Connections
from powerloom.cma.local.errors import ApiError

TYPE_OF_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class Fault(Body):
    """POST /local/faults."""

    route: Annotated[str, Field(pattern=r"^(\*|[A-Z]+) (\*|/\S*)$")]
    times: Annotated[int, Field(ge=1)] = 1
    latency: Annotated[float, Field(ge=0, le=600)] | None = None
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    error_type: str | None = None
    message: str | None = None
    retry_after: Annotated[float, Field(ge=0)] | None = None
    cut: Literal["before", "after_commit", "after_events"] | None = None
    events: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _does_something(self) -> "Fault":
        if self.latency is None and self.status is None and self.cut is None:
            raise ValueError("a fault needs latency, status or cut")
        return self

    def strikes(self, method: str, path: str) -> bool:
        """Whether it is about this call."""
        verb, _, pattern = self.route.partition(" ")
        parts = [
            ".*" if part == "*" else "[^/]+" if part.startswith("{") else re.escape(part)
            for part in re.split(r"(\*|\{[^}]*\})", pattern)
        ]
        return verb in {"*", method} and re.fullmatch("".join(parts), path) is not None

    def error(self) -> ApiError:
        """The answer given instead."""
        assert self.status is not None, "asked only of faults with a status"
        kind = self.error_type or TYPE_OF_STATUS.get(self.status, "api_error")
        headers = {} if self.retry_after is None else {"retry-after": f"{self.retry_after:g}"}
        return ApiError(self.status, kind, self.message or "A fault that a test asked for", headers=headers)


class Obedience(Body):
    """POST /local/obedience."""

    obeys: bool


class Faults:
    """The faults of one server, oldest first, and whether its model believes everything it reads."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._waiting: list[Fault] = []
        self._obeys = False

    def routes(self) -> list[Route]:
        """The routes that set them."""
        return [
            Route("/local/faults", self._add, methods=["POST"]),
            Route("/local/faults", self._show, methods=["GET"]),
            Route("/local/faults", self._clear, methods=["DELETE"]),
            Route("/local/obedience", self._obey, methods=["POST"]),
        ]

    def obeys(self) -> bool:
        """Whether a test asked for a model that does whatever any text tells it to."""
        return self._obeys

    async def call(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through to `app`, or do to it what the first fault that fits says."""
        fault = self._take(scope["method"], scope["path"])
        if fault is None:
            await app(scope, receive, send)
            return
        if fault.latency:
            await asyncio.sleep(fault.latency)
        if fault.status is not None:
            raise fault.error()
        match fault.cut:
            case None:
                await app(scope, receive, send)
            case "before":
                self._connections.cut(scope)
            case "after_commit":
                await app(scope, receive, _nowhere)
                self._connections.cut(scope)
            case "after_events":
                await self._cut_stream(app, scope, receive, send, fault.events)

    async def _cut_stream(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send, events: int) -> None:
        left = events

        async def counting(message: Message) -> None:
            nonlocal left
            body: bytes = message.get("body", b"")
            if left < 0:
                return
            kept, left = _first_events(body, left)
            await send({**message, "body": kept} if "body" in message else message)
            if left < 0 or (left == 0 and message["type"] == "http.response.body"):
                left = -1
                self._connections.cut(scope)

        await app(scope, receive, counting)

    def _take(self, method: str, path: str) -> Fault | None:
        for fault in self._waiting:
            if fault.strikes(method, path):
                fault.times -= 1
                if fault.times == 0:
                    self._waiting.remove(fault)
                return fault
        return None

    async def _add(self, request: Request) -> Response:
        self._waiting.append(await Fault.of(request))
        return await self._show(request)

    async def _obey(self, request: Request) -> Response:
        self._obeys = (await Obedience.of(request)).obeys
        return JSONResponse({"obeys": self._obeys})

    async def _show(self, _request: Request) -> Response:
        return JSONResponse({"data": [fault.wire() for fault in self._waiting]})

    async def _clear(self, request: Request) -> Response:
        self._waiting.clear()
        return await self._show(request)


async def _nowhere(_message: Message) -> None:
    return None


def _first_events(body: bytes, most: int) -> tuple[bytes, int]:
    """The frames of `body` up to its `most`th event, and how many events are left to come."""
    kept, left = [], most
    for frame in body.split(b"\n\n"):
        if frame.startswith(b"event: ") and not frame.startswith(b"event: ping"):
            if left == 0:
                break
            left -= 1
        if frame:
            kept.append(frame + b"\n\n")
    return b"".join(kept), left
