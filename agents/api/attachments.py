"""Skills attached to an agent. Paths name the skill, not the attachment."""

from __future__ import annotations

from typing import Any  # JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router
from pydantic import TypeAdapter

from agents import queries
from agents.api import rows
from agents.api.shapes import AttachmentOut
from agents.commands import AttachSkill, DetachSkill
from agents.models import Agent
from agents.queries.agents import attachment_of, attachments_of
from agents.spec import AttachedSkill, Part, Prebuilt, PrebuiltSkill
from powerloom.kernel.errors import Invalid, NotFound
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform

router = Router(tags=["agents"])
SKILL_NAMES = TypeAdapter[UUID | Prebuilt](UUID | Prebuilt)


class Attachment(Part):
    """Which skill: ours by id, or Anthropic's by short name. Without a version it follows the current one."""

    skill_id: UUID | Prebuilt
    skill_version_id: UUID | None = None


@router.get("/agents/{uuid:agent_id}/skills", response=list[AttachmentOut], summary="List an agent's skills")
def list_attachments(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    agent = queries.agent_for_read(actor_of(request), agent_id)
    return JsonResponse(rows.attachments(attachments_of(agent)), safe=False)


@router.post("/agents/{uuid:agent_id}/skills", response={201: AttachmentOut}, summary="Attach a skill, or move its pin")
def attach_skill(request: HttpRequest, agent_id: UUID, body: Attachment) -> HttpResponse:
    def render(agent: Agent, actor: Actor) -> dict[str, Any]:
        return rows.attachments([attachment_of(agent, body.skill_id)])[0]

    command = AttachSkill(agent_id=agent_id, skill=_reference(body))
    return perform(request, command, render=render, find=queries.agent_for_read, created=True)


@router.delete("/agents/{uuid:agent_id}/skills/{skill_id}", response={204: None}, summary="Detach a skill")
def detach_skill(request: HttpRequest, agent_id: UUID, skill_id: str) -> HttpResponse:
    return perform(request, DetachSkill(agent_id=agent_id, skill=_name(skill_id)), render=None)


def _reference(body: Attachment) -> AttachedSkill | PrebuiltSkill:
    if isinstance(body.skill_id, UUID):
        return AttachedSkill(skill_id=body.skill_id, skill_version_id=body.skill_version_id)
    if body.skill_version_id is not None:
        raise Invalid("Anthropic's skills are not pinned to a version of ours.", field="skill_version_id")
    return PrebuiltSkill(prebuilt=body.skill_id)


def _name(text: str) -> UUID | Prebuilt:
    """A path that names no possible skill names none: 404, like any other absent one."""
    try:
        return SKILL_NAMES.validate_python(text)
    except ValueError as error:
        raise NotFound from error
