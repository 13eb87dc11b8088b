"""Console views of a skill's versions: uploading one, and making one the current."""

from __future__ import annotations

from typing import Any  # template context
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from agents import uploads
from agents.commands import ActivateSkillVersion, UploadSkillVersion
from agents.forms.skills import UploadForm
from agents.models import Skill, SkillVersion
from agents.queries.skills import may_upload, skill_for_read, trackers_of, version_of
from agents.views.origins import skill_origin
from agents.views.reaching import agents_reached
from powerloom.commands.registry import Command
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.deeds import answer, sent
from powerloom.web.forms import ConsoleForm
from powerloom.web.pages import go, signed_in

HELD = 202


@signed_in
@require_http_methods(["GET", "POST"])
def skill_upload(request: HttpRequest, skill_id: UUID) -> HttpResponse:
    """Upload a version. What is wrong with an archive is said beside the field, by the entry that is wrong."""
    actor = actor_of(request)
    skill = skill_for_read(actor, skill_id)
    form = UploadForm(sent(request), request.FILES)
    deed = skill_origin(skill).deed(
        request, form, heading=f"Upload a version of {skill.display_name}", button="Upload", tab="versions"
    )
    deed.lead = "The archive is checked entry by entry. Content that the skill has already stays the version it is."
    staged: list[UUID] = []

    def commands() -> list[Command]:
        file: UploadedFile[Any] = form.cleaned_data["file"]
        uploads.check_size(file.size)
        # Whoever may not upload has nothing unpacked for him: his command finds no archive, and the bus refuses it.
        staged.append(uploads.stage(file.read(), actor=actor) if may_upload(actor, skill.id) else new_id())
        sha256 = uploads.sha256_of(staged[0])
        return [UploadSkillVersion(skill_id=skill.id, id=new_id(), upload_id=staged[0], sha256=sha256)]

    response = answer(request, deed, commands, then=lambda done: _uploaded(request, skill, done.row))
    if staged and response.status_code != HELD:
        uploads.discard(staged[0], actor=actor)
    return response


@signed_in
@require_http_methods(["GET", "POST"])
def skill_activate(request: HttpRequest, skill_id: UUID, version_id: UUID) -> HttpResponse:
    """Make a version the current one, knowing whom it reaches."""
    actor = actor_of(request)
    skill = skill_for_read(actor, skill_id)
    version = version_of(skill, version_id)
    form = ConsoleForm(sent(request))
    deed = skill_origin(skill).deed(
        request, form, heading=f"Activate version {version.number}", button="Activate", tab="versions"
    )
    deed.lead = f"Version {version.number} of {skill.display_name} becomes what every agent that follows it gets."
    deed.reach = agents_reached(actor, trackers_of(skill), "Agents that follow the current version")
    return answer(
        request,
        deed,
        lambda: [ActivateSkillVersion(skill_id=skill.id, version_id=version.id)],
        then=lambda _: go(request, deed.back, saying=f"Version {version.number} is current."),
    )


def _uploaded(request: HttpRequest, skill: Skill, version: SkillVersion) -> HttpResponse:
    words = f"Version {version.number} is here. Activate it when its time has come."
    if version.id == skill.current_version_id:
        words = f"This is what version {version.number} has already, and it is current."
    return skill_origin(skill).back(request, words, tab="versions")
