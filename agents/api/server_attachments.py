"""MCP servers attached to an agent. Paths name the registration, not the attachment."""

from __future__ import annotations

from typing import Any  # JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router

from agents import queries
from agents.api.server_rows import server_attachments
from agents.api.shapes import ServerAttachmentOut
from agents.commands import AttachServer, CreateCredential, DetachServer
from agents.minting import sealed_bearer
from agents.models import Agent
from agents.queries.server_attachments import server_attachment_of, server_attachments_of
from agents.spec import AttachedServer
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform

router = Router(tags=["agents"])


@router.get(
    "/agents/{uuid:agent_id}/mcp-servers", response=list[ServerAttachmentOut], summary="List an agent's MCP servers"
)
def list_servers(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    agent = queries.agent_for_read(actor_of(request), agent_id)
    return JsonResponse(server_attachments(agent, server_attachments_of(agent)), safe=False)


@router.post(
    "/agents/{uuid:agent_id}/mcp-servers",
    response={201: ServerAttachmentOut},
    summary="Attach an MCP server with its credential, or change what is named of it",
)
def attach_server(request: HttpRequest, agent_id: UUID, body: AttachedServer) -> HttpResponse:
    """One set of two commands: where the agent has no credential for the server yet, one is minted."""

    def render(agent: Agent, actor: Actor) -> dict[str, Any]:
        row = server_attachment_of(agent, body.mcp_server_registration_id)
        return server_attachments(agent, [row])[0]

    sealed_id, bearer_hash = sealed_bearer(queries.agent_for_read(actor_of(request), agent_id).organization_id)
    credential = CreateCredential(
        id=new_id(),
        agent_id=agent_id,
        server_id=body.mcp_server_registration_id,
        sealed_id=sealed_id,
        bearer_hash=bearer_hash,
    )
    attach = AttachServer(agent_id=agent_id, server=body)
    return perform(request, attach, credential, render=render, find=queries.agent_for_read, created=True)


@router.delete(
    "/agents/{uuid:agent_id}/mcp-servers/{uuid:registration_id}", response={204: None}, summary="Detach an MCP server"
)
def detach_server(request: HttpRequest, agent_id: UUID, registration_id: UUID) -> HttpResponse:
    return perform(request, DetachServer(agent_id=agent_id, server_id=registration_id), render=None)
