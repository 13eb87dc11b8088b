"""The ASGI application: every deployment at `/mcp/<deployment id>/mcp`, and nothing else.

    address → origin → bearer → method → MCP

Stateless: a request carries all there is, so any number of these processes may serve behind one address. The bearer is
asked of the database at each request (`agents.fleet.admission`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any  # config and policy types differ by template
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from agents.backends.base import Backend
from agents.backends.catalog import backends
from agents.fleet.admission import Admitted, admit
from agents.fleet.calls import CALL_SECONDS, Desk
from agents.fleet.journal import Journal
from agents.fleet.protocol import ADMITTED, manager_of
from agents.fleet.rates import Rates
from agents.mcp.catalog import TEMPLATES
from powerloom.web.threads import DatabaseThreads

log = logging.getLogger(__name__)

THREADS = 4  # more would only wait for each other
REALM = 'Bearer realm="powerloom"'
HERE = frozenset({"localhost", "127.0.0.1", "::1"})
INVALID_REQUEST = -32600  # JSON-RPC's; what is refused before the body is read has no code of its own
BUSY = -32000


class Fleet:
    """The application of one process; enter `running` before the first request, as its lifespan does.

    `run_by` and `seconds` are for tests: other backends, and another time for each call.
    """

    def __init__(self, run_by: dict[str, Backend[Any, Any]] | None = None, *, seconds: float = CALL_SECONDS) -> None:
        self._run_by = run_by
        self._seconds = seconds
        self._threads = DatabaseThreads("fleet", count=THREADS)
        self._journal = Journal()
        self._managers: dict[str, StreamableHTTPSessionManager] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve within; afterwards everything is logged and every connection closed."""
        run_by = backends() if self._run_by is None else self._run_by
        rates = Rates()
        desk = Desk(self._threads, self._journal, rates, run_by, self._seconds)
        self._managers = {kind: manager_of(TEMPLATES[kind], desk) for kind in run_by}
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._threads.close)
            stack.push_async_callback(self._journal.close)
            stack.push_async_callback(rates.close)
            for backend in run_by.values():
                stack.push_async_callback(backend.close)
            stack.callback(asyncio.create_task(self._journal.run()).cancel)
            for manager in self._managers.values():
                await stack.enter_async_context(manager.run())
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to a deployment's address."""
        answer: ASGIApp
        try:
            answer = await self._answer(Request(scope))
        except DatabaseError as error:
            log.warning("The fleet cannot ask its database", extra={"error_class": type(error).__name__})
            answer = _refused(503, "Try again in a moment.", BUSY, {"retry-after": "1"})
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> ASGIApp:
        if not _is_from_here(request.headers.get("origin")):
            return _refused(403, "Pages of other sites have no business here.")
        bearer = _bearer(request.headers)
        if bearer is None:
            return _refused(401, "A bearer is needed.", headers={"www-authenticate": REALM})
        admitted = await self._admitted(bearer, request)
        if admitted is None:
            why = "The bearer does not open this server now."
            told = f'{REALM}, error="invalid_token", error_description="{why}"'
            return _refused(401, why, headers={"www-authenticate": told})
        if request.method != "POST":
            return _refused(405, "This server keeps no streams: POST.", headers={"allow": "POST"})
        request.scope[ADMITTED] = admitted
        return self._managers[admitted.deployment.template_kind].handle_request

    async def _admitted(self, bearer: str, request: Request) -> Admitted | None:
        admitted = await self._threads.run(admit, bearer, request.path_params["deployment_id"])
        return admitted if admitted and admitted.deployment.template_kind in self._managers else None


def application(fleet: Fleet | None = None) -> Router:
    """Return the fleet with its address and its lifespan."""
    fleet = fleet or Fleet()
    address = Route("/mcp/{deployment_id:uuid}/mcp", endpoint=fleet)

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        async with fleet.running():
            yield

    return Router([address], redirect_slashes=False, lifespan=lifespan)


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _is_from_here(origin: str | None) -> bool:
    """Tell whether no page sent this, or one of the fleet's own address: no other has a bearer to send."""
    return origin is None or origin == settings.FLEET_URL or urlsplit(origin).hostname in HERE


def _refused(
    status: int, words: str, code: int = INVALID_REQUEST, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a refusal as the MCP SDK's clients read one: a JSON-RPC error without an id."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": words}}
    return JSONResponse(body, status, headers)
