"""Agents: list, read, create, change, archive."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Query, Router, Schema

from agents import queries
from agents.api import rows
from agents.api.shapes import AgentDetailOut, AgentOut
from agents.commands import AgentFields, ArchiveAgent, CreateAgent, UpdateAgent
from agents.spec import AgentChanges
from powerloom.kernel.errors import Invalid
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["agents"])
MAX_TAG = 15  # digits of a generation


class AgentFilter(Schema):
    """`ou_id` is exactly that OU, not those below it; `name` is exact too."""

    ou_id: UUID | None = None
    name: str | None = None


@router.get("/agents", response=list[AgentOut], summary="List agents")
def list_agents(request: HttpRequest, wanted: Query[AgentFilter]) -> HttpResponseBase:
    found = queries.agents_visible_to(actor_of(request)).filter(**wanted.model_dump(exclude_none=True))
    return listing(request, found, rows.agents)


@router.post("/agents", response={201: AgentDetailOut}, summary="Create an agent")
def create_agent(request: HttpRequest, body: AgentFields) -> HttpResponse:
    command = CreateAgent.model_validate({"id": new_id(), **body.model_dump()})
    return perform(request, command, render=rows.agent, find=queries.agent_for_read, created=True)


@router.get("/agents/{uuid:agent_id}", response=AgentDetailOut, summary="Get an agent")
def get_agent(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    agent = queries.agent_for_read(actor, agent_id)
    return JsonResponse(rows.agent(agent, actor), headers={"ETag": f'"{agent.generation}"'})


@router.patch("/agents/{uuid:agent_id}", response=AgentDetailOut, summary="Change what is named of an agent")
def update_agent(request: HttpRequest, agent_id: UUID, body: AgentChanges) -> HttpResponse:
    command = UpdateAgent(agent_id=agent_id, changes=body, generation=generation_of(request))
    return perform(request, command, render=rows.agent, find=queries.agent_for_read)


@router.delete("/agents/{uuid:agent_id}", response={204: None}, summary="Archive an agent")
def archive_agent(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    return perform(request, ArchiveAgent(agent_id=agent_id, generation=generation_of(request)), render=None)


def generation_of(request: HttpRequest) -> int | None:
    """Return the generation that `If-Match` names, as the `ETag` of a read gave it. Raises `Invalid` on others."""
    given = request.headers.get("If-Match")
    if given is None or given == "*":
        return None
    tag = given.strip().removeprefix('"').removesuffix('"')
    if not tag.isascii() or not tag.isdigit() or len(tag) > MAX_TAG:
        raise Invalid("If-Match takes the ETag that reading the agent gave.", field="If-Match")
    return int(tag)
