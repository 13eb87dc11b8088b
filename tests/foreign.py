"""A foreign MCP server on loopback: the MCP SDK's own, under uvicorn on a thread, that does what a test says.

foreign.tools = [tool("search")]       its tools from now on
foreign.wants = "a-token"              401 without this bearer
foreign.is_legacy = True               knows nothing of server/discover
foreign.says = "Found."                what its tools answer
foreign.instead = page("<html>")       answers this to everything
"""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from mcp import types
from mcp.server import Server, ServerRequestContext
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.waiting import until

Answer = Callable[[Request], Awaitable[Response]]


def tool(name: str = "search", description: str = "Searches.", **schema: Any) -> dict[str, Any]:
    """A definition as a server lists it."""
    return {"name": name, "description": description, "inputSchema": {"type": "object", "properties": {}, **schema}}


def page(body: str, status: int = 200, media_type: str = "text/html", **headers: str) -> Answer:
    """An answer that is the same to everything."""

    async def answer(request: Request) -> Response:
        return Response(body, status, headers, media_type)

    return answer


async def silence(request: Request) -> Response:
    """Answers only once the caller has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        continue
    return Response()


@dataclass
class Foreign:
    """What the server is and does; a test sets it, `reset` undoes it."""

    url: str = ""
    tools: list[dict[str, Any]] = field(default_factory=lambda: [tool()])
    wants: str = ""
    says: str = "Found."
    is_legacy: bool = False
    instead: Answer | None = None
    bearers: list[str] = field(default_factory=list)
    called: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def reset(self) -> None:
        """Be a plain server with one tool again, which nobody has called."""
        url = self.url
        vars(self).update(vars(Foreign(url)))

    async def list_tools(
        self, context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[types.Tool.model_validate(one) for one in self.tools])

    async def call_tool(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        self.called.append((params.name, params.arguments or {}))
        return types.CallToolResult(content=[types.TextContent(type="text", text=self.says)])

    def app(self) -> ASGIApp:
        """Return the server behind what this says."""
        server = Server("foreign", version="1.2.3", on_list_tools=self.list_tools, on_call_tool=self.call_tool)
        inner = server.streamable_http_app(json_response=True, stateless_http=True)

        async def outer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await inner(scope, receive, send)
                return
            request = Request(scope, receive)
            self.bearers.append(request.headers.get("authorization", ""))
            if self.instead:
                await (await self.instead(request))(scope, receive, send)
            elif self.wants and self.bearers[-1] != f"Bearer {self.wants}":
                await JSONResponse({"error": "unauthorized"}, 401)(scope, receive, send)
            elif self.is_legacy and b"server/discover" in (body := await request.body()):
                await Response("what is that?", 400)(scope, again(body), send)
            else:
                await inner(scope, again(await request.body()), send)

        return outer


def again(body: bytes) -> Receive:
    """A body that was read, to be read once more."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


@contextmanager
def serving() -> Iterator[Foreign]:
    """A server for the length of the block."""
    foreign = Foreign()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(foreign.app(), log_config=None, ws="none", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
        thread.start()
        until(lambda: server.started, what="the foreign server")
        foreign.url = f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        yield foreign
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def foreign_server() -> Iterator[Foreign]:
    with serving() as foreign:
        yield foreign


@pytest.fixture
def foreign(foreign_server: Foreign, settings: Any) -> Foreign:
    """A server that a development machine may reach."""
    settings.DEV_MODE = True
    foreign_server.reset()
    return foreign_server
