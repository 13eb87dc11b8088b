"""The MCP SDK's client, as far as a handshake and one call need it. Loaded by `agents.handshakes` when one is made.

Words about a failure are ours: a status, a content type, a code. What the server itself said is added only when no
token was sent, since it might repeat it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from ssl import SSLError
from typing import Any, TypeVar  # Any: a tool's schemas are other people's JSON

from mcp import Client as MCPClient
from mcp import MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CONNECTION_CLOSED, PARSE_ERROR, CallToolResult, Implementation, TextContent, Tool
from pydantic import ValidationError

from agents.handshakes import MAX_TOOLS, MOST_ANSWER, Called, Handshake, HandshakeFailed, accepted
from powerloom.web import egress
from powerloom.web.egress import Blocked, Client

T = TypeVar("T")

MOST_PAGES = 20
MOST_SAID = 200
MOST_INFO = 200
PROTOCOL_ERRORS = (PARSE_ERROR, CONNECTION_CLOSED)

FAILURES: tuple[type[Exception], ...] = (
    MCPError,
    Blocked,
    ValidationError,
    ExceptionGroup,
    HandshakeFailed,
    *egress.FAILURES,
)
"""What can come out of a server that is not there, not well, or not one."""


@dataclass
class Seen:
    """The last answer on the way, as far as it may be told."""

    has_token: bool
    seconds: float
    status: int = 0
    content_type: str = ""
    statuses: list[int] = field(default_factory=list)

    async def note(self, response: Any) -> None:
        self.status = response.status_code
        self.content_type = response.headers.get("content-type", "")
        self.statuses.append(self.status)


async def shake(url: str, client: Client, seconds: float) -> Handshake:
    """Do what `agents.handshakes.shake` says."""

    async def greet(server: MCPClient) -> Handshake:
        tools = await _listed(server)
        return Handshake(_info(server.server_info), server.protocol_version, accepted(tools))

    return await _asked(url, client, seconds, "tools/list", greet)


async def call(url: str, client: Client, seconds: float, name: str, arguments: dict[str, Any]) -> Called:
    """Do what `agents.handshakes.call` says."""

    async def use(server: MCPClient) -> Called:
        return _called(await server.call_tool(name, arguments))

    return await _asked(url, client, seconds, "tools/call", use)


async def _asked(url: str, client: Client, seconds: float, asking: str, ask: Callable[[MCPClient], Awaitable[T]]) -> T:
    """Greet the server and ask it one thing; `asking` is the MCP method that the words of a failure name."""
    seen = Seen("authorization" in client.headers, seconds)
    client.event_hooks["response"].append(seen.note)
    found, step = None, "initialize"
    try:
        async with (
            asyncio.timeout(seconds),
            MCPClient(streamable_http_client(url, http_client=client), cache=None) as server,
        ):
            step = asking
            found = await ask(server)
    except FAILURES as error:
        if found is None:  # once all is known, a farewell that goes wrong does not matter
            raise _failure(step, error, seen) from None
    finally:
        client.event_hooks["response"].remove(seen.note)
    assert found is not None, "either it was answered or something was raised"
    return found


def _called(result: CallToolResult) -> Called:
    parts = [part.text if isinstance(part, TextContent) else f"[{part.type}]" for part in result.content]
    return Called("\n".join(parts)[:MOST_ANSWER], result.structured_content, is_error=bool(result.is_error))


async def _listed(server: MCPClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    for _ in range(MOST_PAGES):
        page = await server.list_tools(cursor=cursor)
        found += [_definition(tool) for tool in page.tools]
        cursor = page.next_cursor
        if cursor is None or len(found) > MAX_TOOLS:
            return found
    raise HandshakeFailed("tools/list", f"its list does not end after {MOST_PAGES} pages")


def _definition(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "description": tool.description,
        "input_schema": tool.input_schema,
        "output_schema": tool.output_schema,
    }


def _info(info: Implementation | None) -> dict[str, Any]:
    if info is None:
        return {}
    said = {"name": info.name, "version": info.version, "title": info.title}
    return {name: _printable(text, MOST_INFO) for name, text in said.items() if text}


def _failure(step: str, error: BaseException, seen: Seen) -> HandshakeFailed:
    causes = list(_leaves(error))
    for cause in causes:
        if isinstance(cause, HandshakeFailed):
            return cause
        if isinstance(cause, Blocked):
            return HandshakeFailed(step if seen.status else "connect", cause.words)
    if isinstance(causes[0], MCPError):
        return HandshakeFailed(step, _answered(causes[0], seen), wants_token=seen.status in {401, 403})
    if isinstance(causes[0], ValidationError):
        return HandshakeFailed(step, "what it answered is not as the protocol says")
    return HandshakeFailed(step if seen.status else "connect", _lost(causes[0], seen))


def _lost(error: BaseException, seen: Seen) -> str:
    if isinstance(error, TimeoutError | egress.Timeout):
        return f"no answer within {seen.seconds:g} seconds"
    if _is_about_tls(error):
        return "its certificate does not prove that it is this host, or it has none"
    return "the connection was lost" if seen.status else "nobody answers at this address"


def _answered(error: MCPError, seen: Seen) -> str:
    status, is_json = seen.status, seen.content_type.startswith("application/json")
    if status in {401, 403}:
        return f"it is there and {'does not accept the token' if seen.has_token else 'wants a token'} ({status})"
    if status == 404:
        return "nothing is served at this path (404)"
    if status >= 400 and not is_json:
        return f"it answered with status {status}"
    if not is_json and not seen.content_type.startswith("text/event-stream"):
        return f"it answered {status} with {_media_type(seen.content_type)}, which is not MCP"
    if error.error.code in PROTOCOL_ERRORS:
        return f"it answered {status} with what is not MCP, or broke off, or said more than is read"
    said = "" if seen.has_token else f": {_printable(error.error.message, MOST_SAID)}"
    return f"it answered {status} with the error {error.error.code}{said}"


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _is_about_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _media_type(content_type: str) -> str:
    found = re.match(r"[\w.+-]{1,40}/[\w.+-]{1,60}", content_type, re.ASCII)
    return found[0] if found else "no content type"


def _printable(text: str, most: int) -> str:
    shown = "".join(character if character.isprintable() else "�" for character in text[:most])
    return shown + ("…" if len(text) > most else "")
