"""The MCP side: for each template one server of the SDK, whose tools are the template's.

Imports the MCP SDK, which takes about a second; whoever serves loads it on a thread.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Any  # JSON schemas, and the SDK's context of any lifespan

from django.db import DatabaseError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp.types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    ToolAnnotations,
)
from mcp.types import Tool as Listed
from pydantic import ValidationError

from agents.fleet.admission import Admitted
from agents.fleet.calls import Desk, UnknownTool
from agents.mcp.template import Template, Tool
from powerloom import __version__

log = logging.getLogger(__name__)

ADMITTED = "powerloom.admitted"  # where a request's scope carries who was let in
MOST_BODY = 1024 * 1024

Context = ServerRequestContext[Any, Any]


def manager_of(template: Template[Any, Any], desk: Desk) -> StreamableHTTPSessionManager:
    """Return what answers MCP requests to deployments of this template, stateless, in plain JSON."""
    return StreamableHTTPSessionManager(
        server_of(template, desk), json_response=True, stateless=True, max_request_body_size=MOST_BODY
    )


def server_of(template: Template[Any, Any], desk: Desk) -> Server[Any]:
    """Return the MCP server of a template; which deployment is meant comes with each request."""

    async def list_tools(context: Context, params: PaginatedRequestParams | None) -> ListToolsResult:
        try:
            policy = template.read_policy(_admitted(context).deployment.policy)
        except ValidationError:
            raise MCPError(INTERNAL_ERROR, "The policy of this deployment is not valid any more.") from None
        return ListToolsResult(tools=[listed(tool) for tool in template.offered(policy)])

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        try:
            answer = await desk.call(_admitted(context), params.name, params.arguments or {})
        except UnknownTool:
            raise MCPError(INVALID_PARAMS, "There is no such tool.") from None
        except DatabaseError as error:
            log.warning("A tool call could not be recorded", extra={"error_class": type(error).__name__})
            raise MCPError(INTERNAL_ERROR, "The call could not be recorded; its answer is kept back.") from None
        return CallToolResult(
            content=[TextContent(type="text", text=answer.text)],
            structured_content=answer.structured,
            is_error=answer.is_error,
        )

    server: Server[Any] = Server(
        f"powerloom-{template.kind}",
        version=__version__,
        title=template.title,
        description=template.description,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=lambda name: schema_of(tool) if (tool := template.tool(name)) else None,
    )
    server.middleware.clear()  # OpenTelemetry's, which nothing here listens to
    return server


@cache
def listed(tool: Tool) -> Listed:
    """Return a tool as clients see it."""
    return Listed(
        name=tool.name,
        description=tool.description,
        input_schema=schema_of(tool),
        output_schema=tool.result.model_json_schema() if tool.result else None,
        annotations=ToolAnnotations(read_only_hint=tool.is_read_only),
    )


@cache
def schema_of(tool: Tool) -> dict[str, Any]:
    """Return the JSON schema of a tool's arguments."""
    return tool.arguments.model_json_schema()


def _admitted(context: Context) -> Admitted:
    assert context.request is not None, "every request comes over HTTP"
    found: Admitted = context.request.scope[ADMITTED]
    return found
