"""Where agents and skills stand with the reconciler, and the request to try again."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router

from agents import queries
from agents.api import rows
from agents.api.shapes import AgentDetailOut, SkillDetailOut, SyncOut
from agents.commands import ResetAgentSync, ResetSkillSync
from powerloom.web.answers import actor_of, perform

router = Router(tags=["sync"])


@router.get("/agents/{uuid:agent_id}/sync-status", response=SyncOut, summary="Why an agent is not live, in words")
def agent_status(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    return JsonResponse(rows.agent_sync(queries.agent_for_read(actor_of(request), agent_id)))


@router.post("/agents/{uuid:agent_id}/sync/reset", response=AgentDetailOut, summary="Try an agent again from the start")
def reset_agent(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    return perform(request, ResetAgentSync(agent_id=agent_id), render=rows.agent, find=queries.agent_for_read)


@router.post("/skills/{uuid:skill_id}/sync/reset", response=SkillDetailOut, summary="Try a skill again from the start")
def reset_skill(request: HttpRequest, skill_id: UUID) -> HttpResponse:
    return perform(request, ResetSkillSync(skill_id=skill_id), render=rows.skill, find=queries.skill_for_read)
