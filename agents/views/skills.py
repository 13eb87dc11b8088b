"""Console views of skills: the list, one skill with its tabs, and what may be done to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any  # template context
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.law import shown
from accounts.places import chosen_place, places_for, reason_against_new
from accounts.queries import principal_named, principals_visible_to
from accounts.reasons import Reason, reasons_against
from agents import queries, standing
from agents.actions import ON_SKILL, Action
from agents.archives import files_of
from agents.commands import (
    ArchiveSkill,
    GrantSkill,
    ResetSkillSync,
    RevokeSkillGrant,
    UpdateSkill,
)
from agents.forms.skills import GrantForm, NewSkillForm, SkillForm
from agents.kinds import SyncKind
from agents.models import Skill, SkillType, SkillVersion
from agents.queries.lists import skill_users, skills_matching, sync_states
from agents.queries.skills import content_of, grants_of, skill_for_read, users_of, version_of, versions_of
from agents.views.origins import skill_origin
from agents.views.reaching import agents_reached
from powerloom.kernel.errors import Invalid, NotFound
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.reconcile.status import SyncStatus
from powerloom.web.answers import actor_of
from powerloom.web.deeds import Deed, answer, sent
from powerloom.web.filters import Filters
from powerloom.web.forms import TypedName
from powerloom.web.lines import applying, place_of, weave
from powerloom.web.lists import page_of
from powerloom.web.pages import go, page, signed_in
from powerloom.web.submitting import performed
from powerloom.web.tabs import FIRST, Tab, elsewhere, tabbed

ROWS = 50
VERSIONS = 20
MOST_SHOWN = 64 * 1024  # bytes of a file that a page shows
MOST_OFFERED = 200  # principals that a field suggests


@dataclass(frozen=True)
class Line:
    """One skill in the list."""

    skill: Skill
    sync: str
    agents: int


@signed_in
@require_GET
def skill_list(request: HttpRequest) -> HttpResponse:
    """The skills that one may see, newest first."""
    actor = actor_of(request)
    chosen = Filters(request, q="Name", sync="Sync", ou="OU")
    rows = skills_matching(actor, text=chosen["q"], under=chosen["ou"], sync=chosen["sync"])
    found = page_of(request, rows, size=ROWS)
    return page(
        request,
        "agents/skills/list.html",
        "agents/skills/_list.html",
        page=found,
        lines=_lines(actor, found.rows),
        chosen=chosen,
        chips=chosen.chips(sync=str.capitalize),
        kept=chosen.kept(by_form=frozenset({"q", "sync"})),
        sync_states=[(word.value, word.value.capitalize()) for word in SyncStatus],
        bare=request.path,
        new_refusal=reason_against_new(request, Action.SKILL_CREATE),
        line=applying("Skill", {"name": "python-lint", "ou_path": place_of(request)}),
    )


@signed_in
@require_GET
def skill_detail(request: HttpRequest, skill_id: UUID) -> HttpResponse:
    """One skill and the tab that `?tab=` names."""
    skill = skill_for_read(actor_of(request), skill_id)
    address = reverse("agents:skill", args=[skill.id])
    return tabbed(request, TABS, skill, "agents/skills/skill.html", _head(request, skill), address)


@signed_in
@require_http_methods(["GET", "POST"])
def skill_create(request: HttpRequest) -> HttpResponse:
    """Name a skill."""
    actor = actor_of(request)
    places = places_for(actor, Action.SKILL_CREATE)
    form = NewSkillForm(
        sent(request),
        places=places,
        initial={"ou_id": chosen_place(request, places)},
        given={"id": new_id()},
    )
    deed = Deed(
        form=form,
        url=request.get_full_path(),
        heading="New skill",
        lead="A skill is a versioned package that agents use. It is named first; its content comes by upload.",
        button="Create the skill",
        back=reverse("agents:skills"),
        obstacle="" if places else reason_against_new(request, Action.SKILL_CREATE),
    )
    return answer(
        request, deed, lambda: [form.value], then=lambda done: skill_origin(done.row).back(request, "Created.")
    )


@signed_in
@require_http_methods(["GET", "POST"])
def skill_edit(request: HttpRequest, skill_id: UUID) -> HttpResponse:
    """Change how a skill is shown."""
    skill = skill_for_read(actor_of(request), skill_id)
    now = {"display_name": skill.display_name, "description": skill.description or ""}
    form = SkillForm(sent(request), initial=now)
    deed = skill_origin(skill).deed(request, form, heading=f"Edit {skill.display_name}", button="Save")
    return answer(
        request,
        deed,
        lambda: [UpdateSkill(skill_id=skill.id, changes=form.value)],
        then=lambda _: skill_origin(skill).back(request, "Saved."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def skill_archive(request: HttpRequest, skill_id: UUID) -> HttpResponse:
    """Take a skill out of service, once no agent has it."""
    skill = skill_for_read(actor_of(request), skill_id)
    form = TypedName(sent(request), name=skill.name)
    reach = agents_reached(actor_of(request), users_of(skill), "Agents that have it")
    deed = skill_origin(skill).deed(request, form, heading=f"Delete {skill.display_name}", button="Delete the skill")
    deed.lead = "It is gone for good and its name becomes free. Its versions and its audit entries stay for the record."
    deed.picture, deed.is_grave, deed.reach = "trash-2", True, reach
    if reach[0].count:
        deed.obstacle = "Agents have this skill. Detach it from them first; then it can be deleted."
    return answer(
        request,
        deed,
        lambda: [ArchiveSkill(skill_id=skill.id)],
        then=lambda _: go(request, reverse("agents:skills"), saying=f"{skill.display_name} is deleted."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def skill_grant(request: HttpRequest, skill_id: UUID) -> HttpResponse:
    """Let a principal use this skill."""
    skill = skill_for_read(actor_of(request), skill_id)
    deed = _granting(request, skill, GrantForm(sent(request)))

    def commands() -> Sequence[GrantSkill]:
        ref = deed.form.cleaned_data["principal"]
        try:
            principal = principal_named(actor_of(request), ref)
        except NotFound:
            raise Invalid(f"There is nobody called {ref} here. Choose from the list.", field="principal") from None
        return [GrantSkill(id=new_id(), skill_id=skill.id, principal_id=principal.id)]

    return answer(request, deed, commands, then=lambda _: skill_origin(skill).back(request, "Granted.", tab="access"))


@signed_in
@require_POST
def skill_revoke_grant(request: HttpRequest, skill_id: UUID, grant_id: UUID) -> HttpResponse:
    """End a grant."""
    address = f"{reverse('agents:skill', args=[skill_id])}?tab=access"
    command = RevokeSkillGrant(skill_id=skill_id, grant_id=grant_id)
    return performed(request, command, then=lambda _: go(request, address, saying="The grant is ended."))


@signed_in
@require_POST
def skill_reset_sync(request: HttpRequest, skill_id: UUID) -> HttpResponse:
    """Let the reconciler try a parked skill again."""
    return performed(request, ResetSkillSync(skill_id=skill_id), saying="Reset. The reconciler tries again now.")


def _lines(actor: Actor, skills: list[Skill]) -> list[Line]:
    ids = [skill.id for skill in skills]
    states, users = sync_states(SyncKind.SKILL, ids), skill_users(actor, ids)
    return [
        Line(skill, standing.word_of(states[skill.id]) if skill.id in states else "", users.get(skill.id, 0))
        for skill in skills
    ]


def _head(request: HttpRequest, skill: Skill) -> dict[str, Any]:
    against = reasons_against(actor_of(request), skill.target(), ON_SKILL)
    state = sync_states(SyncKind.SKILL, [skill.id]).get(skill.id)
    refusals = {action.partition(":")[2]: reason for action, reason in against.items()}
    if skill.skill_type == SkillType.TOOL_DEFINITION and not refusals["upload"]:
        refusals["upload"] = Reason("A tool definition has a schema and no archive.")
    return {
        "skill": skill,
        "state": state,
        "sync_word": standing.word_of(state) if state else "",
        "refusals": refusals,
    }


def _overview(request: HttpRequest, skill: Skill) -> dict[str, Any]:
    current = version_of(skill, skill.current_version_id) if skill.current_version_id else None
    return {"current": current, "newest": versions_of(skill).order_by("-number").first()}


def _versions(request: HttpRequest, skill: Skill) -> dict[str, Any]:
    found = page_of(request, versions_of(skill), size=VERSIONS)
    states = sync_states(SyncKind.SKILL_VERSION, [version.id for version in found.rows])
    lines = [(version, standing.word_of(states.get(version.id))) for version in found.rows]
    return {"lines": lines, "page": found, "line": _uploading(skill)}


def _files(request: HttpRequest, skill: Skill) -> dict[str, Any]:
    version = _asked_version(request, skill)
    files = files_of(content_of(version)) if version else {}
    path = request.GET.get("path", "SKILL.md")
    return {
        "version": version,
        "numbers": list(versions_of(skill).order_by("-number").values_list("number", flat=True)[:ROWS]),
        "files": [(name, len(content)) for name, content in files.items()],
        "path": path if path in files else "",
        "text": _as_text(files[path]) if path in files else None,
        "line": _uploading(skill),
    }


def _asked_version(request: HttpRequest, skill: Skill) -> SkillVersion | None:
    asked = request.GET.get("version", "")
    rows = versions_of(skill).order_by("-number")
    if asked.isascii() and asked.isdigit() and len(asked) < 10:
        return rows.filter(number=int(asked)).first()
    return version_of(skill, skill.current_version_id) if skill.current_version_id else rows.first()


def _as_text(content: bytes) -> str | None:
    """Return a file as text, as much of it as a page shows; None when it is none."""
    try:
        return content[:MOST_SHOWN].decode(errors="ignore" if len(content) > MOST_SHOWN else "strict")
    except UnicodeDecodeError:
        return None


def _agents(request: HttpRequest, skill: Skill) -> dict[str, Any]:
    actor = actor_of(request)
    rows = queries.agents_visible_to(actor).filter(pk__in=users_of(skill).values("pk"))
    found = page_of(request, rows, size=ROWS)
    states = standing.of(found.rows)
    return {"page": found, "lines": [(agent, states[agent.id]) for agent in found.rows]}


def _access(request: HttpRequest, skill: Skill) -> dict[str, Any]:
    deed = _granting(request, skill, GrantForm())
    return {
        "page": page_of(request, grants_of(skill), size=ROWS),
        "deed": deed,
        "form": deed.form,
        "principals": deed.context["principals"],
    }


def _granting(request: HttpRequest, skill: Skill, form: GrantForm) -> Deed:
    actor = actor_of(request)
    refused = reasons_against(actor, skill.target(), [Action.SKILL_GRANT])[Action.SKILL_GRANT]
    refs = [] if refused else principals_visible_to(actor).values_list("ref", flat=True)[:MOST_OFFERED]
    words = {"heading": f"Grant {skill.display_name}", "button": "Grant", "tab": "access"}
    deed = skill_origin(skill).deed(request, form, **words, url=reverse("agents:skill_grant", args=[skill.id]))
    deed.lead = "Whoever is granted the skill may read it and attach it to agents, wherever that is."
    deed.fields, deed.context = "agents/skills/_grant_fields.html", {"principals": refs}
    return deed


def _uploading(skill: Skill) -> str:
    return weave("skill", "upload", f"{shown(skill.ou.path)}/{skill.name}", "skill.zip", "--activate")


TABS: dict[str, Tab[Skill]] = {
    FIRST: Tab("Overview", "agents/skills/_overview.html", _overview),
    "versions": Tab("Versions", "agents/skills/_versions.html", _versions),
    "files": Tab("Files", "agents/skills/_files.html", _files),
    "agents": Tab("Agents", "agents/skills/_agents.html", _agents),
    "access": Tab("Access", "agents/skills/_access.html", _access),
    "audit": Tab("Audit", "agents/skills/_audit.html", elsewhere),
}
