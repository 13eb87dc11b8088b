"""Managed MCP servers: the templates there are, and deployments of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Query, Router, Schema

from agents import queries
from agents.api import deployment_rows as rows
from agents.api.deployment_shapes import CallOut, DeploymentDetailOut, DeploymentOut, TemplateOut
from agents.commands import (
    ArchiveServer,
    CreateDeployment,
    CreateServer,
    DeploymentChanges,
    DeploymentFields,
    DestroyDeployment,
    RetryDeployment,
    UpdateDeployment,
)
from agents.commands.deployments import settings_after
from agents.mcp import posted
from agents.models import MCPCall
from agents.queries.deployments import calls_of, may_change, may_declare
from powerloom.commands.registry import Command
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["mcp-deployments"])

CALLS_A_PAGE = 100


class DeploymentFilter(Schema):
    """`ou_id` is exactly that OU, not those below it; `name` is exact too."""

    ou_id: UUID | None = None
    name: str | None = None


@router.get("/mcp-templates", response=list[TemplateOut], summary="List the templates of managed MCP servers")
def list_templates(request: HttpRequest) -> HttpResponse:
    return JsonResponse(rows.templates(), safe=False)


@router.get("/mcp-deployments", response=list[DeploymentOut], summary="List managed MCP deployments")
def list_deployments(request: HttpRequest, wanted: Query[DeploymentFilter]) -> HttpResponseBase:
    found = queries.deployments_visible_to(actor_of(request)).filter(**wanted.model_dump(exclude_none=True))
    return listing(request, found, rows.deployments)


@router.post("/mcp-deployments", response={201: DeploymentDetailOut}, summary="Deploy a template")
def create_deployment(request: HttpRequest, body: DeploymentFields) -> HttpResponse:
    settings = posted.told_or_withheld(
        body.template_kind,
        body.config_json,
        body.policy_json,
        is_told=lambda: may_declare(actor_of(request), body.ou_id),
    )
    fields = body.model_dump() | settings
    deployment = CreateDeployment.model_validate({"id": new_id(), **fields})
    registration = CreateServer(
        id=new_id(), ou_id=body.ou_id, name=body.name, display_name=body.display_name, deployment_id=deployment.id
    )
    return perform(
        request,
        deployment,
        registration,
        render=rows.deployment,
        find=queries.deployment_for_read,
        created=True,
    )


@router.get(
    "/mcp-deployments/{uuid:deployment_id}", response=DeploymentDetailOut, summary="Get a managed MCP deployment"
)
def get_deployment(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    return JsonResponse(rows.deployment(queries.deployment_for_read(actor, deployment_id), actor))


@router.patch(
    "/mcp-deployments/{uuid:deployment_id}", response=DeploymentDetailOut, summary="Change config, policy or name"
)
def update_deployment(request: HttpRequest, deployment_id: UUID, body: DeploymentChanges) -> HttpResponse:
    actor = actor_of(request)
    deployment = queries.deployment_for_read(actor, deployment_id)
    changes = body.model_dump()
    touches = body.model_fields_set & {"config_json", "policy_json"}
    if touches:
        settings = posted.told_or_withheld(
            deployment.template_kind,
            *settings_after(deployment, body),
            is_told=lambda: may_change(actor, deployment),
        )
        changes |= {name: settings[name] for name in touches}
    command = UpdateDeployment(deployment_id=deployment_id, changes=DeploymentChanges.model_validate(changes))
    return perform(request, command, render=rows.deployment, find=queries.deployment_for_read)


@router.get(
    "/mcp-deployments/{uuid:deployment_id}/calls", response=list[CallOut], summary="List the calls that were answered"
)
def list_calls(request: HttpRequest, deployment_id: UUID) -> HttpResponseBase:
    actor = actor_of(request)
    deployment = queries.deployment_for_read(actor, deployment_id)

    def render_all(found: Sequence[MCPCall]) -> list[dict[str, Any]]:
        return rows.calls(found, actor)

    return listing(request, calls_of(deployment), render_all, default_limit=CALLS_A_PAGE)


@router.post(
    "/mcp-deployments/{uuid:deployment_id}/retry", response=DeploymentDetailOut, summary="Deploy a failed one again"
)
def retry_deployment(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    command = RetryDeployment(deployment_id=deployment_id)
    return perform(request, command, render=rows.deployment, find=queries.deployment_for_read)


@router.post(
    "/mcp-deployments/{uuid:deployment_id}/destroy",
    response={204: None},
    summary="Destroy a deployment that no agent uses, with its registration",
)
def destroy_deployment(request: HttpRequest, deployment_id: UUID) -> HttpResponse:
    deployment = queries.deployment_for_read(actor_of(request), deployment_id)
    commands: list[Command] = [DestroyDeployment(deployment_id=deployment_id)]
    commands.append(ArchiveServer(server_id=deployment.registration.id))
    return perform(request, *commands, render=None)
