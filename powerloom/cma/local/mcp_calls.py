"""Talking to one MCP server over the MCP SDK.

The only module here that imports `mcp`, which takes about a second; `tools` loads it on a thread when an agent with
servers first runs. No proxy, no redirect to another origin, bounded time and size.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, ImageContent, TextContent
from pydantic import ValidationError

from powerloom.cma.types import JSON
from powerloom.kernel.tls import trust

CONNECT_SECONDS = 10
CALL_SECONDS = 120
MOST_PAGES = 20
MOST_TEXT = 100_000

FAILURES = (MCPError, httpx2.HTTPError, httpx2.InvalidURL, OSError, TimeoutError, ValidationError, ExceptionGroup)
"""What can come out of a server that is not there, not well or not ours."""


class McpFailed(Exception):
    """A server could not be used. `refused` says that it did not accept our credential, or wanted one."""

    def __init__(self, message: str, *, refused: bool) -> None:
        super().__init__(message)
        self.refused = refused


async def list_tools(url: str, token: str | None) -> list[tuple[str, JSON]]:
    """Names and input schemas of a server's tools. Raises McpFailed."""
    found: list[tuple[str, JSON]] = []
    async with _connected(url, token, CONNECT_SECONDS) as client:
        cursor = None
        for _ in range(MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            found += [(tool.name, tool.input_schema) for tool in page.tools]
            cursor = page.next_cursor
            if cursor is None:
                break
    return found


async def call_tool(url: str, token: str | None, name: str, given: JSON) -> tuple[list[JSON], bool]:
    """What a tool answered, as CMA's content blocks, and whether it was an error. Raises McpFailed."""
    async with _connected(url, token, CALL_SECONDS) as client:
        result = await client.call_tool(name, given)
    return content_of(result), bool(result.is_error)


def content_of(result: CallToolResult) -> list[JSON]:
    """A result as content blocks; what CMA has no block for becomes text."""
    blocks = [_block(item) for item in result.content]
    if not blocks and result.structured_content is not None:
        blocks = [_text(json.dumps(result.structured_content, ensure_ascii=False, default=str))]
    return blocks


def _block(item: Any) -> JSON:  # a union of the MCP SDK's that grows
    match item:
        case TextContent():
            return _text(item.text)
        case ImageContent():
            source = {"type": "base64", "media_type": item.mime_type, "data": item.data}
            return {"type": "image", "source": source}
        case _:
            return _text(item.model_dump_json(exclude_none=True))


def _text(text: str) -> JSON:
    return {"type": "text", "text": text[:MOST_TEXT]}


@asynccontextmanager
async def _connected(url: str, token: str | None, seconds: float) -> AsyncIterator[Client]:
    statuses: list[int] = []

    async def note(response: httpx2.Response) -> None:
        statuses.append(response.status_code)

    headers = {"authorization": f"Bearer {token}"} if token else {}
    http = httpx2.AsyncClient(
        verify=trust(),
        headers=headers,
        timeout=httpx2.Timeout(seconds, connect=CONNECT_SECONDS),
        trust_env=False,
        event_hooks={"response": [note]},
    )
    try:
        async with asyncio.timeout(seconds), http, Client(streamable_http_client(url, http_client=http)) as client:
            yield client
    except FAILURES as error:
        refused = bool({401, 403} & set(statuses))
        # The words of such an error may hold a header or a whole answer, so only its kind is told.
        why = "it refused the credential" if refused else f"{_kind(error)}"
        raise McpFailed(why, refused=refused) from error


def _kind(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__
