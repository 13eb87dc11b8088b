"""Agents as manifests: one that is there, and one as its form says it while it is filled in."""

from __future__ import annotations

from typing import Any  # a spec is JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET, require_POST

from accounts.law import shown
from agents import queries
from agents.models import Agent
from agents.views.agent_deeds import edit_agent_form, new_agent_form
from powerloom.manifests.export import drafted_agent, exported_agent
from powerloom.web.answers import actor_of
from powerloom.web.pages import fragment, signed_in

TEMPLATE = "console/_manifest.html"


@signed_in
@require_GET
def agent_manifest(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """An agent with what is attached to it, as documents to copy."""
    actor = actor_of(request)
    return fragment(request, TEMPLATE, text=exported_agent(queries.agent_for_read(actor, agent_id), actor))


@signed_in
@require_POST
def new_agent_manifest(request: HttpRequest) -> HttpResponse:
    """What the form of a new agent says so far. Nothing is written."""
    form = new_agent_form(request)
    form.is_valid()
    places = dict(form.places)
    cleaned = form.cleaned_data
    metadata = {"name": cleaned.get("name", ""), "ou_path": places.get(str(cleaned.get("ou_id", "")), "")}
    fixed = {"owner_principal_ref": cleaned.get("owner", ""), "agent_kind": cleaned.get("agent_kind", "user")}
    return fragment(request, TEMPLATE, text=drafted_agent(metadata, form.said(), fixed))


@signed_in
@require_POST
def edited_agent_manifest(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """What the form of an agent says so far. Nothing is written."""
    agent = queries.agent_for_read(actor_of(request), agent_id)
    form = edit_agent_form(request, agent)
    form.is_valid()
    return fragment(request, TEMPLATE, text=_drafted(agent, form.said()))


def _drafted(agent: Agent, said: dict[str, Any]) -> str:
    metadata = {"name": agent.name, "ou_path": shown(agent.ou.path)}
    fixed = {"owner_principal_ref": agent.owner_principal.ref, "agent_kind": agent.agent_kind}
    return drafted_agent(metadata, said, fixed)
