"""The server's routes, and the edge that every request passes.

Order at the edge: request id, key, fault, rate limit, beta header, route. Refusals anywhere become CMA's error body.
"""

import asyncio
import hmac
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from powerloom.cma.local import agents, environments, errors, events, files, resources, sessions, skills, vaults
from powerloom.cma.local.catalog import get_model, list_models
from powerloom.cma.local.errors import ApiError, answer_api_error, answer_defect, answer_http_error, not_found
from powerloom.cma.local.faults import Faults
from powerloom.cma.local.ids import new_id
from powerloom.cma.local.limits import Limits
from powerloom.cma.local.runtime import Runtime

BETA = "managed-agents-2026-04-01"
GATED = re.compile(r"/v1/(agents|environments|sessions|vaults)(/.*)?")

ROUTES = [
    *agents.ROUTES,
    *environments.ROUTES,
    *events.ROUTES,
    *resources.ROUTES,
    *sessions.ROUTES,
    *vaults.ROUTES,
    *skills.ROUTES,
    *files.ROUTES,
    Route("/v1/models", list_models, methods=["GET"]),
    Route("/v1/models/{id}", get_model, methods=["GET"]),
]


class Edge:
    """What every request passes before its route."""

    def __init__(self, app: ASGIApp, *, key: str | None, limits: Limits | None, faults: Faults | None) -> None:
        self._app = app
        self._key = key
        self._limits = limits
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check, then hand on; any refusal is answered here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id("req")
        scope.setdefault("state", {})["request_id"] = request_id
        stamped = _stamping(send, request_id)
        try:
            await self._pass(scope, receive, stamped)
        except ApiError as error:
            await errors.response(error, request_id)(scope, receive, stamped)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        self._check_key(headers)
        if self._faults is not None and not scope["path"].startswith("/local/"):
            await self._faults.call(self._checked, scope, receive, send)
        else:
            await self._checked(scope, receive, send)

    async def _checked(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if self._limits is not None:
            self._limits.check(scope["method"], path)
        if GATED.fullmatch(path) and BETA not in _betas(Headers(scope=scope)):
            raise not_found(f"Not found. This route needs the header anthropic-beta: {BETA}")
        await self._app(scope, receive, send)

    def _check_key(self, headers: Headers) -> None:
        """Any key will do unless the server was given one."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        given = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        if not given or (self._key is not None and not hmac.compare_digest(given.encode(), self._key.encode())):
            raise ApiError(401, "authentication_error", "invalid x-api-key or bearer token")


def build(runtime: Runtime, *, key: str | None, limits: Limits | None, faults: Faults | None) -> ASGIApp:
    """The whole application."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        runtime.engine.resume()
        heart = asyncio.create_task(runtime.hub.beat())
        yield
        heart.cancel()
        with suppress(asyncio.CancelledError):
            await heart
        await runtime.engine.stop()
        runtime.store.close()

    app = Starlette(
        routes=[*ROUTES, *(faults.routes() if faults else [])],
        lifespan=lifespan,
        exception_handlers={
            ApiError: answer_api_error,
            HTTPException: answer_http_error,
            Exception: answer_defect,
        },
    )
    app.router.redirect_slashes = False
    app.state.runtime = runtime
    return Edge(app, key=key, limits=limits, faults=faults)


def _betas(headers: Headers) -> set[str]:
    return {beta.strip() for line in headers.getlist("anthropic-beta") for beta in line.split(",")}


def _stamping(send: Send, request_id: str) -> Send:
    """`send`, with the request id among the headers."""

    async def stamped(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["request-id"] = request_id
        await send(message)

    return stamped
