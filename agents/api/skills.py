"""Skills: list, read, create, change, activate, archive, and their versions."""

from __future__ import annotations

from typing import Any  # JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import File, Query, Router, Schema
from ninja.files import UploadedFile

from agents import queries, uploads
from agents.api import rows
from agents.api.shapes import SkillDetailOut, SkillOut, SkillVersionOut
from agents.commands import (
    ActivateSkillVersion,
    ArchiveSkill,
    CreateSkill,
    SkillChanges,
    SkillFields,
    UpdateSkill,
    UploadSkillVersion,
)
from agents.models import Skill, SkillVersion
from agents.queries.skills import may_upload, version_like, versions_of
from powerloom.commands.registry import Command
from powerloom.kernel.errors import Invalid
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["skills"])
HELD = 202


class SkillFilter(Schema):
    """`ou_id` is exactly that OU, not those below it; `name` is exact too."""

    ou_id: UUID | None = None
    name: str | None = None


class SkillPatch(SkillChanges):
    """What is to change; `current_version_id` activates a version."""

    current_version_id: UUID | None = None

    def commands(self, skill_id: UUID) -> list[Command]:
        """Return one command for each kind of change, each under its own right. Raises `Invalid`."""
        activates = "current_version_id" in self.model_fields_set
        if activates and self.current_version_id is None:
            raise Invalid("Name the version to activate; there is no way back to none.", field="current_version_id")
        named = {name: getattr(self, name) for name in SkillChanges.model_fields if name in self.model_fields_set}
        wanted: list[Command] = []
        if named or not activates:
            wanted.append(UpdateSkill(skill_id=skill_id, changes=SkillChanges.model_validate(named)))
        if self.current_version_id is not None:
            wanted.append(ActivateSkillVersion(skill_id=skill_id, version_id=self.current_version_id))
        return wanted


@router.get("/skills", response=list[SkillOut], summary="List skills")
def list_skills(request: HttpRequest, wanted: Query[SkillFilter]) -> HttpResponseBase:
    found = queries.skills_visible_to(actor_of(request)).filter(**wanted.model_dump(exclude_none=True))
    return listing(request, found, rows.skills)


@router.post("/skills", response={201: SkillDetailOut}, summary="Create a skill")
def create_skill(request: HttpRequest, body: SkillFields) -> HttpResponse:
    command = CreateSkill.model_validate({"id": new_id(), **body.model_dump()})
    return perform(request, command, render=rows.skill, find=queries.skill_for_read, created=True)


@router.get("/skills/{uuid:skill_id}", response=SkillDetailOut, summary="Get a skill")
def get_skill(request: HttpRequest, skill_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    return JsonResponse(rows.skill(queries.skill_for_read(actor, skill_id), actor))


@router.patch("/skills/{uuid:skill_id}", response=SkillDetailOut, summary="Change a skill, or activate a version")
def update_skill(request: HttpRequest, skill_id: UUID, body: SkillPatch) -> HttpResponse:
    def render(skill: Skill, actor: Actor) -> dict[str, Any]:
        skill.refresh_from_db()  # each command of the set changed its own copy
        return rows.skill(skill, actor)

    return perform(request, *body.commands(skill_id), render=render, find=queries.skill_for_read)


@router.delete("/skills/{uuid:skill_id}", response={204: None}, summary="Archive a skill that no agent has")
def archive_skill(request: HttpRequest, skill_id: UUID) -> HttpResponse:
    return perform(request, ArchiveSkill(skill_id=skill_id), render=None)


@router.get("/skills/{uuid:skill_id}/versions", response=list[SkillVersionOut], summary="List a skill's versions")
def list_versions(request: HttpRequest, skill_id: UUID) -> HttpResponseBase:
    skill = queries.skill_for_read(actor_of(request), skill_id)

    def render_all(found: Any) -> list[dict[str, Any]]:
        return rows.skill_versions(found, current=skill.current_version_id)

    return listing(request, versions_of(skill), render_all)


@router.post("/skills/{uuid:skill_id}/versions", response={201: SkillVersionOut}, summary="Upload a version")
def upload_version(request: HttpRequest, skill_id: UUID, file: File[UploadedFile]) -> HttpResponse:
    actor = actor_of(request)
    uploads.check_size(file.size)
    # Whoever may not upload has nothing unpacked for him: his command finds no archive, and the bus refuses it first.
    upload_id = uploads.stage(file.read(), actor=actor) if may_upload(actor, skill_id) else new_id()

    def render(version: SkillVersion, actor: Actor) -> dict[str, Any]:
        return rows.skill_versions([version], current=version.skill.current_version_id)[0]

    def find(actor: Actor, skill_id: UUID) -> SkillVersion:
        return version_like(actor, skill_id, upload_id)

    sha256 = uploads.sha256_of(upload_id)
    command = UploadSkillVersion(skill_id=skill_id, id=new_id(), upload_id=upload_id, sha256=sha256)
    response = perform(request, command, render=render, find=find, created=True)
    if response.status_code != HELD:
        uploads.discard(upload_id, actor=actor)
    return response
