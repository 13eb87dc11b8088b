"""Console views that declare, change, restore and archive agents."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from accounts.places import chosen_place, places_for, reason_against_new
from accounts.queries import named_in_directory
from agents import queries
from agents.actions import Action
from agents.commands import ArchiveAgent, ResetAgentSync, RestoreAgent, UpdateAgent
from agents.forms.agents import EditAgentForm, NewAgentForm
from agents.models import Agent
from agents.queries.radius import live_credentials_of, radius_of
from agents.views.origins import agent_origin
from agents.views.reaching import sessions_reached
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.deeds import Deed, Reach, answer, sent
from powerloom.web.forms import TypedName
from powerloom.web.pages import go, signed_in
from powerloom.web.submitting import performed

MOST_OFFERED = 200  # owners that a field suggests
FIELDS = "agents/_agent_fields.html"
MANIFEST = "agents/_manifest_beside.html"


def new_agent_form(request: HttpRequest) -> NewAgentForm:
    """Return the form that declares an agent, bound to what was sent."""
    actor = actor_of(request)
    places = places_for(actor, Action.AGENT_CREATE)
    return NewAgentForm(
        sent(request),
        actor=actor,
        places=places,
        initial={"ou_id": chosen_place(request, places)},
        given={"id": new_id()},
    )


def edit_agent_form(request: HttpRequest, agent: Agent) -> EditAgentForm:
    """Return the form that changes this agent, bound to what was sent."""
    spec = queries.latest_versions([agent])[agent.id].spec
    return EditAgentForm(sent(request), spec=spec, initial={"generation": agent.generation})


@signed_in
@require_http_methods(["GET", "POST"])
def agent_create(request: HttpRequest) -> HttpResponse:
    """Declare an agent, its manifest beside the form."""
    form = new_agent_form(request)
    owners = named_in_directory(actor_of(request)).values_list("ref", flat=True)[:MOST_OFFERED]
    deed = Deed(
        form=form,
        url=request.get_full_path(),
        heading="New agent",
        button="Declare the agent",
        back=reverse("agents:list"),
        fields=FIELDS,
        aside=MANIFEST,
        obstacle="" if form.places else reason_against_new(request, Action.AGENT_CREATE),
        context={"owners": owners, "manifest_url": reverse("console:new_agent_manifest")},
    )
    return answer(
        request, deed, lambda: [form.value], then=lambda done: agent_origin(done.row).back(request, "Declared.")
    )


@signed_in
@require_http_methods(["GET", "POST"])
def agent_edit(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """Change an agent; every change makes a version."""
    agent = queries.agent_for_read(actor_of(request), agent_id)
    form = edit_agent_form(request, agent)
    deed = agent_origin(agent).deed(request, form, heading=f"Edit {agent.display_name}", button="Save as a new version")
    deed.fields, deed.aside = FIELDS, MANIFEST
    deed.context = {"manifest_url": reverse("console:edited_agent_manifest", args=[agent.id])}

    def commands() -> list[UpdateAgent]:
        generation = form.cleaned_data["generation"]
        return [UpdateAgent(agent_id=agent.id, changes=form.value, generation=generation)]

    return answer(
        request,
        deed,
        commands,
        then=lambda done: agent_origin(agent).back(request, f"Saved. Version {done.row.version} is pushed."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def agent_archive(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """Take an agent out of service for good, knowing what goes with it."""
    agent = queries.agent_for_read(actor_of(request), agent_id)
    form = TypedName(sent(request), name=agent.name)
    deed = agent_origin(agent).deed(request, form, heading=f"Archive {agent.display_name}", button="Archive for good")
    deed.lead = (
        "There is no way back: the runtime archives an agent for ever. Its name becomes free; its sessions, versions "
        "and audit entries stay."
    )
    deed.picture, deed.is_grave = "archive", True
    deed.reach = [
        Reach("Credentials that are destroyed", hidden=live_credentials_of(agent=agent)),
        *sessions_reached(radius_of(actor_of(request), queries.agents_among([agent.id]))),
    ]
    return answer(
        request,
        deed,
        lambda: [ArchiveAgent(agent_id=agent.id)],
        then=lambda _: go(request, reverse("agents:list"), saying=f"{agent.display_name} is archived."),
    )


@signed_in
@require_POST
def agent_restore(request: HttpRequest, agent_id: UUID, number: int) -> HttpResponse:
    """Make an old version the newest."""
    address = f"{reverse('agents:detail', args=[agent_id])}?tab=versions"
    command = RestoreAgent(agent_id=agent_id, number=min(number, 2**31 - 1))
    return performed(
        request, command, then=lambda agent: go(request, address, saying=f"Restored as version {agent.version}.")
    )


@signed_in
@require_POST
def reset_sync(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """Let the reconciler try a parked agent again."""
    return performed(request, ResetAgentSync(agent_id=agent_id), saying="Reset. The reconciler tries again now.")
