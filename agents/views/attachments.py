"""Console views that give skills and MCP servers to agents, and take them away."""

from __future__ import annotations

from typing import Any  # template context
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts import rbac
from agents import queries
from agents.actions import Action
from agents.commands import AttachServer, AttachSkill, CreateCredential, DetachServer, DetachSkill
from agents.forms.attachments import AttachServerForm, AttachSkillForm, ServerSettingsForm
from agents.minting import sealed_bearer
from agents.models import Agent
from agents.queries.server_attachments import server_attachment_of, setting_of
from agents.queries.servers import server_for_read, tools_of
from agents.queries.skills import skill_for_read, version_numbered
from agents.spec import AttachedSkill, PrebuiltSkill
from agents.views.origins import agent_origin
from powerloom.commands.registry import Command
from powerloom.kernel.errors import Invalid, NotFound
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.deeds import Deed, answer, sent
from powerloom.web.pages import go, signed_in
from powerloom.web.submitting import performed

MOST_OFFERED = 500
PREBUILT = {"pptx", "xlsx", "docx", "pdf"}


def attaching_skill(request: HttpRequest, agent: Agent, data: Any = None) -> Deed:
    """Return the deed that attaches a skill: those that the viewer may use, and Anthropic's."""
    actor = actor_of(request)
    usable = rbac.permitted(actor, Action.SKILL_USE, resource_field="pk")
    skills = queries.skills_visible_to(actor).filter(usable).order_by("display_name")[:MOST_OFFERED]
    url = reverse("agents:attach_skill", args=[agent.id])
    form = AttachSkillForm(data, skills=skills, auto_id="attach-skill-%s")
    return agent_origin(agent).deed(request, form, heading="Attach a skill", button="Attach", tab="skills", url=url)


def attaching_server(request: HttpRequest, agent: Agent, data: Any = None) -> Deed:
    """Return the deed that attaches an MCP server: those that the viewer may use and the agent does not have."""
    actor = actor_of(request)
    usable = rbac.permitted(actor, Action.MCP_SERVER_USE)
    rows = queries.servers_visible_to(actor).filter(usable).exclude(attachments__agent=agent)
    url = reverse("agents:attach_server", args=[agent.id])
    servers = list(rows.order_by("display_name")[:MOST_OFFERED])
    form = AttachServerForm(data, servers=servers, auto_id="attach-server-%s")
    words = {"heading": "Attach an MCP server", "button": "Attach with a credential", "tab": "servers"}
    deed = agent_origin(agent).deed(request, form, **words, url=url)
    if not servers:
        deed.obstacle = "There is no other MCP server that you may use. Deploy or register one in MCP servers first."
    return deed


@signed_in
@require_http_methods(["GET", "POST"])
def attach_skill(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """Attach a skill, or move its pin."""
    actor = actor_of(request)
    agent = queries.agent_for_read(actor, agent_id)
    deed = attaching_skill(request, agent, sent(request))

    def commands() -> list[Command]:
        name, number = deed.form.cleaned_data["skill"], deed.form.cleaned_data["version"]
        if name in PREBUILT:
            if number:
                raise Invalid("Anthropic's skills are not pinned to a version of ours.", field="version")
            return [AttachSkill(agent_id=agent.id, skill=PrebuiltSkill(prebuilt=name))]
        skill = skill_for_read(actor, UUID(name))
        version = version_numbered(skill, number) if number else None
        if number and version is None:
            raise Invalid(f"{skill.name} has no version {number}.", field="version")
        reference = AttachedSkill(skill_id=skill.id, skill_version_id=version.id if version else None)
        return [AttachSkill(agent_id=agent.id, skill=reference)]

    return answer(request, deed, commands, then=lambda _: go(request, deed.back, saying="Attached."))


@signed_in
@require_POST
def detach_skill(request: HttpRequest, agent_id: UUID, skill: str) -> HttpResponse:
    """Take a skill away."""
    command = DetachSkill.model_validate({"agent_id": agent_id, "skill": _skill_name(skill)})
    return performed(request, command, then=lambda _: go(request, _tab(agent_id, "skills"), saying="Detached."))


@signed_in
@require_http_methods(["GET", "POST"])
def attach_server(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """Attach an MCP server, with a credential where the agent has none for it."""
    agent = queries.agent_for_read(actor_of(request), agent_id)
    deed = attaching_server(request, agent, sent(request))

    def commands() -> list[Command]:
        assert isinstance(deed.form, AttachServerForm), "it is the form of above"
        setting = deed.form.setting()
        sealed_id, bearer_hash = sealed_bearer(agent.organization_id)
        credential = CreateCredential(
            id=new_id(),
            agent_id=agent.id,
            server_id=setting.mcp_server_registration_id,
            sealed_id=sealed_id,
            bearer_hash=bearer_hash,
        )
        return [AttachServer(agent_id=agent.id, server=setting), credential]

    return answer(request, deed, commands, then=lambda _: go(request, deed.back, saying="Attached."))


@signed_in
@require_http_methods(["GET", "POST"])
def server_settings(request: HttpRequest, agent_id: UUID, server_id: UUID) -> HttpResponse:
    """Say which tools of an attached server are on, and who answers its calls."""
    actor = actor_of(request)
    agent = queries.agent_for_read(actor, agent_id)
    attached = setting_of(server_attachment_of(agent, server_id))
    server = server_for_read(actor, server_id)
    names = [tool.name for tool in tools_of(server)]
    form = ServerSettingsForm(sent(request), tools=names, attached=attached)
    heading = f"{server.display_name} for {agent.display_name}"
    deed = agent_origin(agent).deed(request, form, heading=heading, button="Save", tab="servers")
    deed.fields = "agents/_server_settings_fields.html"
    return answer(
        request,
        deed,
        lambda: [AttachServer(agent_id=agent.id, server=form.setting())],
        then=lambda _: go(request, deed.back, saying="Saved."),
    )


@signed_in
@require_POST
def detach_server(request: HttpRequest, agent_id: UUID, server_id: UUID) -> HttpResponse:
    """Take an MCP server away; its credential leaves the vault."""
    command = DetachServer(agent_id=agent_id, server_id=server_id)
    return performed(request, command, then=lambda _: go(request, _tab(agent_id, "servers"), saying="Detached."))


def _tab(agent_id: UUID, tab: str) -> str:
    return f"{reverse('agents:detail', args=[agent_id])}?tab={tab}"


def _skill_name(text: str) -> UUID | str:
    """A path that names no possible skill names none: 404, like any other absent one."""
    if text in PREBUILT:
        return text
    try:
        return UUID(text)
    except ValueError as error:
        raise NotFound from error
