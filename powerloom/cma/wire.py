"""One call over the official SDK: JSON in, JSON out, every failure one of `powerloom.cma.errors`.

The only module that imports `anthropic`. That import takes well over a second, so `client.py` imports this one when
the first client is made, not before.

The SDK's pydantic models are left out on purpose: documents go to the reconciler's hashes as CMA sent them, and a
stream's frames are decoded once. The SDK still does authentication, headers, query style, multipart and SSE framing.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal, cast
from urllib.parse import urlsplit

import anthropic
import httpx2
from anthropic._streaming import AsyncStream  # the public name `anthropic.AsyncStream` is this class, untyped for us

from powerloom.cma.errors import AccountProblem, CMAError, Conflict, Missing, NameTaken, Rejected, Unavailable
from powerloom.cma.types import JSON, Files, Page
from powerloom.kernel.tls import trust

# Its debug lines hold whole bodies, and those of vaults hold secrets.
logging.getLogger("anthropic").setLevel(logging.WARNING)

BETA = {"anthropic-beta": "managed-agents-2026-04-01"}

STREAM_SILENCE = 120.0
"""Seconds without a byte after which a stream counts as dead; CMA sends heartbeats more often."""

CONNECT_TIMEOUT = 5.0
# For each request the pool polls every idle connection it holds, so a hundred of them cost more than they save.
REQUEST_CONNECTIONS = httpx2.Limits(max_connections=64, max_keepalive_connections=32, keepalive_expiry=30)
STREAMS_A_POOL = 200
"""A pool looks at every connection it has whenever one is opened or closed, so thousands of streams share many."""

STREAM_CONNECTIONS = httpx2.Limits(max_connections=None, max_keepalive_connections=20, keepalive_expiry=30)

# An `error` event arrives inside an answer of status 200, so its type is all that says what happened.
STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "timeout_error": 408,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "overloaded_error": 529,
}


class Wire:
    """The connections of one client: a pool for requests, and pools for streams."""

    def __init__(self, *, base_url: str, api_key: str, timeout: float) -> None:
        limit = httpx2.Timeout(timeout, connect=CONNECT_TIMEOUT)
        self._base_url = base_url
        self._timeout = timeout
        self._patience = httpx2.Timeout(timeout, connect=CONNECT_TIMEOUT, read=STREAM_SILENCE, pool=None)
        self._stream_pools: list[StreamPool] = []
        self._requests = anthropic.AsyncAnthropic(
            base_url=base_url,
            api_key=api_key,
            max_retries=0,
            timeout=limit,
            open_telemetry=False,
            http_client=_http_client(base_url, REQUEST_CONNECTIONS, limit),
        )

    async def close(self) -> None:
        """Close every connection; open streams end."""
        for pool in self._stream_pools:
            await pool.client.close()
        await self._requests.close()

    async def get(
        self, path: str, params: Mapping[str, object] | None = None, *, headers: dict[str, str] = BETA
    ) -> JSON:
        """The document at `path`."""
        with _Errors():
            return _document(await self._requests.get(path, cast_to=object, options=_options(headers, params)))

    async def page(self, path: str, params: Mapping[str, object], *, headers: dict[str, str] = BETA) -> Page:
        """One page of the list at `path`."""
        body = await self.get(path, params, headers=headers)
        return Page(data=body["data"], next_page=body.get("next_page"))

    async def post(self, path: str, body: JSON | None = None, *, headers: dict[str, str] = BETA) -> JSON:
        """What CMA answers to `body`."""
        with _Errors():
            return _document(await self._requests.post(path, cast_to=object, body=body, options=_options(headers)))

    async def upload(self, path: str, fields: JSON, files: Files) -> JSON:
        """What CMA answers to a multipart form: `fields`, and `files` whose names keep their directories."""
        parts = [("files[]", (name, content, "application/octet-stream")) for name, content in files]
        with _Errors():
            return _document(
                await self._requests.post(
                    path,
                    cast_to=object,
                    body=fields,
                    files=parts,
                    options=_options({"Content-Type": "multipart/form-data"}),
                )
            )

    async def delete(self, path: str, *, headers: dict[str, str] = BETA) -> JSON:
        """What CMA says of the thing deleted."""
        with _Errors():
            return _document(await self._requests.delete(path, cast_to=object, options=_options(headers)))

    async def content(self, path: str) -> bytes:
        """The bytes at `path`."""
        with _Errors():
            response = await self._requests.get(
                path, cast_to=httpx2.Response, options=_options({"accept": "application/binary"})
            )
            return response.content

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[JSON]]:
        """The live events at `path`. Entered once CMA has answered, that is, once it has us among its listeners."""
        with self._stream_pool() as client:
            with _Errors():
                events = await self._open(client, path)
            try:
                yield _decoded(events)
            finally:
                await events.close()

    async def _open(self, client: anthropic.AsyncAnthropic, path: str) -> AsyncStream[object]:
        # The answer's first line must come as soon as any answer; only then does the patience of a stream begin.
        async with asyncio.timeout(self._timeout):
            return await client.get(
                path, cast_to=object, options=_options(BETA), stream=True, stream_cls=AsyncStream[object]
            )

    @contextmanager
    def _stream_pool(self) -> Iterator[anthropic.AsyncAnthropic]:
        """A client with room for one more stream."""
        pool = next((pool for pool in self._stream_pools if pool.streams < STREAMS_A_POOL), None)
        if pool is None:
            http = _http_client(self._base_url, STREAM_CONNECTIONS, self._patience)
            pool = StreamPool(self._requests.with_options(timeout=self._patience, http_client=http))
            self._stream_pools.append(pool)
        pool.streams += 1
        try:
            yield pool.client
        finally:
            pool.streams -= 1


@dataclass
class StreamPool:
    """A client that carries streams only, and how many it carries now."""

    client: anthropic.AsyncAnthropic
    streams: int = 0


async def _decoded(events: AsyncStream[object]) -> AsyncIterator[JSON]:
    with _Errors():
        async for event in events:
            yield _document(event)


def _options(headers: dict[str, str], params: Mapping[str, object] | None = None) -> Any:  # the SDK's private TypedDict
    given = {key: value for key, value in (params or {}).items() if value is not None}
    return {"headers": headers, "params": given}


def _document(answer: object) -> JSON:
    if not isinstance(answer, dict):
        # A proxy's page, or an answer cut short: CMA may well have done what we asked.
        raise Unavailable("CMA answered with something other than a JSON object", answer_lost=True)
    return cast("JSON", answer)


def _http_client(base_url: str, limits: httpx2.Limits, timeout: httpx2.Timeout) -> httpx2.AsyncClient:
    if _is_loopback(base_url):
        # A proxy from the environment has no business between us and our own machine.
        return httpx2.AsyncClient(verify=trust(), limits=limits, timeout=timeout, trust_env=False)
    return anthropic.DefaultAsyncHttpxClient(verify=trust(), limits=limits, timeout=timeout)


def _is_loopback(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


BROKEN = (httpx2.TransportError, TimeoutError, json.JSONDecodeError, anthropic.APIResponseValidationError)
"""What the SDK lets through when an answer breaks off, does not come or cannot be read."""


class _Errors:
    """Turns what the SDK and its transport raise into our own tree."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> Literal[False]:
        if isinstance(error, anthropic.APIStatusError):
            raise _from_status(error) from error
        if isinstance(error, anthropic.APIConnectionError):
            raise _from_transport(error.__cause__ or error) from error
        if isinstance(error, BROKEN):
            raise _from_transport(error) from error
        return False


def _from_transport(error: BaseException) -> Unavailable:
    never_sent = isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))
    return Unavailable(
        f"{type(error).__name__} while talking to CMA", type="connection_error", answer_lost=not never_sent
    )


def _from_status(error: anthropic.APIStatusError) -> CMAError:
    kind = error.type or "api_error"
    status = error.status_code if error.status_code >= 400 else STATUS_OF_TYPE.get(kind, 500)
    facts: dict[str, Any] = {
        "status": status,
        "type": kind,
        "code": error.error_code,
        "request_id": error.request_id,
    }
    message = error.api_message or error.message
    if status in {408, 429} or status >= 500:
        lost = status != 429
        return Unavailable(message, retry_after=_retry_after(error.response), answer_lost=lost, **facts)
    if status == 409:
        return (NameTaken if error.error_code == "skill_name_taken" else Conflict)(message, **facts)
    if status in {401, 402}:
        return AccountProblem(message, **facts)
    return (Missing if status == 404 else Rejected)(message, **facts)


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds CMA asks us to wait; a date there is left to our own back-off."""
    try:
        return max(0.0, float(response.headers.get("retry-after", "")))
    except ValueError:
        return None
