"""Versions of an agent: list, read, compare, restore."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Router

from agents import queries
from agents.api import rows
from agents.api.shapes import AgentDetailOut, VersionDetailOut, VersionDiffOut, VersionOut
from agents.commands import RestoreAgent
from agents.diff import diff
from agents.queries.agents import version_of, versions_of
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["agents"])


@router.get("/agents/{uuid:agent_id}/versions", response=list[VersionOut], summary="List an agent's versions")
def list_versions(request: HttpRequest, agent_id: UUID) -> HttpResponseBase:
    agent = queries.agent_for_read(actor_of(request), agent_id)
    return listing(request, versions_of(agent).defer("spec"), rows.versions)


@router.get("/agents/{uuid:agent_id}/versions/{int:number}", response=VersionDetailOut, summary="Get a version")
def get_version(request: HttpRequest, agent_id: UUID, number: int) -> HttpResponse:
    version = version_of(queries.agent_for_read(actor_of(request), agent_id), number)
    return JsonResponse(rows.versions([version])[0] | {"spec": version.spec})


@router.get(
    "/agents/{uuid:agent_id}/versions/{int:before}/diff/{int:after}",
    response=VersionDiffOut,
    summary="Compare two versions",
)
def diff_versions(request: HttpRequest, agent_id: UUID, before: int, after: int) -> HttpResponse:
    agent = queries.agent_for_read(actor_of(request), agent_id)
    found = diff(version_of(agent, before).spec, version_of(agent, after).spec)
    return JsonResponse({"before": before, "after": after, "changes": [one.as_json() for one in found]})


@router.post(
    "/agents/{uuid:agent_id}/versions/{int:number}/restore",
    response=AgentDetailOut,
    summary="Make an old version the newest",
)
def restore_version(request: HttpRequest, agent_id: UUID, number: int) -> HttpResponse:
    command = RestoreAgent(agent_id=agent_id, number=number)
    return perform(request, command, render=rows.agent, find=queries.agent_for_read)
