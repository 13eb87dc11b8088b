"""MCP servers: register, list, read, change, look at again, pin the tools of, archive."""

from __future__ import annotations

from typing import Annotated, Any  # Any: JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Query, Router, Schema
from pydantic import Field

from agents import probing, queries
from agents.api import registration_rows as rows
from agents.api.registration_shapes import ServerDetailOut, ServerOut
from agents.commands import (
    ArchiveServer,
    CreateServer,
    PinTools,
    ProbeServer,
    ServerChanges,
    ServerFields,
    UpdateServer,
)
from agents.commands.servers import MOST_PINS, Sha256
from agents.models import MCPServer
from agents.queries.servers import may_register, tools_of
from agents.registering import Token, discovered, plain_token
from agents.spec import McpToolName, Part
from powerloom.commands import idempotency
from powerloom.kernel.errors import Invalid
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, is_dry_run, key_of, perform
from powerloom.web.lists import listing

router = Router(tags=["MCP servers"])
HELD = 202


class ServerFilter(Schema):
    """`ou_id` is exactly that OU, not those below it; `name` is exact too."""

    ou_id: UUID | None = None
    name: str | None = None


class ServerIn(ServerFields):
    """A server of one's own. `token` is shown to it during this handshake and kept nowhere; agents get theirs as
    credentials.
    """

    token: Token | None = None


class ProbeIn(Part):
    """`token` is shown to the server during this look and kept nowhere."""

    token: Token | None = None


class SeenTool(Part):
    """A tool as the caller saw it: `sha256` of the detail, "" for one that is gone."""

    name: McpToolName
    sha256: Sha256


class PinIn(Part):
    """The tools to approve, as they were seen; without `tools` all of them as they are now."""

    tools: Annotated[list[SeenTool], Field(min_length=1, max_length=MOST_PINS)] | None = None


@router.get("/mcp-servers", response=list[ServerOut], summary="List MCP servers")
def list_servers(request: HttpRequest, wanted: Query[ServerFilter]) -> HttpResponseBase:
    found = queries.servers_visible_to(actor_of(request)).filter(**wanted.model_dump(exclude_none=True))
    return listing(request, found, rows.servers)


@router.post("/mcp-servers", response={201: ServerDetailOut}, summary="Register an MCP server")
def create_server(request: HttpRequest, body: ServerIn, *, skip_validation: bool = False) -> HttpResponse:
    actor = actor_of(request)
    # Whoever may not register has nothing called for him: his command names no discovery, and the bus refuses it.
    looks = not skip_validation and not is_dry_run(request) and may_register(actor, body.ou_id)
    asks = looks and not idempotency.is_known(key_of(request), actor)
    discovery_id = discovered(body.url, actor, token=plain_token(body.token)) if asks else None
    fields = body.model_dump(exclude={"token"})
    command = CreateServer.model_validate({"id": new_id(), "discovery_id": discovery_id, **fields})
    response = perform(request, command, render=rows.server, find=queries.server_for_read, created=True)
    if discovery_id and response.status_code != HELD:
        probing.discard(discovery_id)
    return response


@router.get("/mcp-servers/{uuid:server_id}", response=ServerDetailOut, summary="Get an MCP server with its tools")
def get_server(request: HttpRequest, server_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    return JsonResponse(rows.server(queries.server_for_read(actor, server_id), actor))


@router.patch("/mcp-servers/{uuid:server_id}", response=ServerDetailOut, summary="Change an MCP server")
def update_server(request: HttpRequest, server_id: UUID, body: ServerChanges) -> HttpResponse:
    return perform(
        request, UpdateServer(server_id=server_id, changes=body), render=rows.server, find=queries.server_for_read
    )


@router.delete("/mcp-servers/{uuid:server_id}", response={204: None}, summary="Archive an MCP server no agent has")
def archive_server(request: HttpRequest, server_id: UUID) -> HttpResponse:
    return perform(request, ArchiveServer(server_id=server_id), render=None)


@router.post("/mcp-servers/{uuid:server_id}/probe", response=ServerDetailOut, summary="Look at an MCP server now")
def probe_server(request: HttpRequest, server_id: UUID, body: ProbeIn | None = None) -> HttpResponse:
    token = plain_token(body.token if body else None)

    def look(server: MCPServer, actor: Actor) -> dict[str, Any]:
        probing.look(server, token=token)  # after the command's transaction, never in it
        return rows.server(queries.server_for_read(actor, server_id), actor)

    return perform(request, ProbeServer(server_id=server_id), render=look, find=queries.server_for_read)


@router.post("/mcp-servers/{uuid:server_id}/pin", response=ServerDetailOut, summary="Approve an MCP server's tools")
def pin_tools(request: HttpRequest, server_id: UUID, body: PinIn | None = None) -> HttpResponse:
    if body is not None and body.tools is not None:
        seen = {tool.name: tool.sha256 for tool in body.tools}
    else:
        seen = _all_as_they_are(queries.server_for_read(actor_of(request), server_id))
    command = PinTools(server_id=server_id, tools=seen)
    return perform(request, command, render=rows.server, find=queries.server_for_read)


def _all_as_they_are(server: MCPServer) -> dict[str, str]:
    seen = {tool.name: tool.sha256 for tool in tools_of(server)[:MOST_PINS]}
    if not seen:
        raise Invalid("No tools of this server have been seen yet. Have it looked at first.", field="tools")
    return seen
