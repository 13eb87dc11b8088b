"""Console views that register, change, look at, pin, try and take away MCP servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST
from pydantic import SecretStr

from accounts.places import chosen_place, places_for, reason_against_new
from agents import probing
from agents.actions import Action
from agents.commands import ArchiveServer, CreateServer, DestroyDeployment, PinTools, ProbeServer, TryTool, UpdateServer
from agents.forms.servers import NewServerForm, ProbeForm, ServerForm, TokenField
from agents.models import MCPServer
from agents.queries.radius import live_credentials_of
from agents.queries.servers import may_register, server_for_read, tool_named, users_of_server
from agents.registering import discovered, plain_token
from agents.trying import try_tool
from agents.views.origins import server_origin
from agents.views.reaching import agents_reached
from powerloom.commands.registry import Command, Done
from powerloom.kernel.errors import Invalid, NotFound, PowerloomError
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.deeds import Deed, Reach, answer, sent, shown
from powerloom.web.forms import TypedName
from powerloom.web.pages import go, signed_in
from powerloom.web.schemas import JsonSchemaForm
from powerloom.web.submitting import performed

HELD = 202


@signed_in
@require_http_methods(["GET", "POST"])
def server_register(request: HttpRequest) -> HttpResponse:
    """Register a server of one's own, once it has answered a handshake."""
    actor = actor_of(request)
    places = places_for(actor, Action.MCP_SERVER_CREATE)
    form = NewServerForm(sent(request), places=places, initial={"ou_id": chosen_place(request, places)})
    deed = Deed(
        form=form,
        url=request.get_full_path(),
        heading="Register an MCP server",
        lead="It is talked to first. The tools that it lists are pinned: what changes later stays off.",
        button="Register",
        back=reverse("agents:server_gallery"),
        obstacle="" if places else reason_against_new(request, Action.MCP_SERVER_CREATE),
    )
    found: list[UUID] = []

    def commands() -> list[Command]:
        # Whoever may not register has nothing called for him: his command names no discovery, and the bus refuses it.
        if not form.cleaned_data["skip_validation"] and may_register(actor, form.value.ou_id):
            token = plain_token(SecretStr(form.cleaned_data["token"]))
            found.append(discovered(form.value.url, actor, token=token))
        discovery_id = found[0] if found else None
        return [CreateServer(id=new_id(), discovery_id=discovery_id, **form.value.model_dump())]

    response = answer(request, deed, commands, then=lambda done: server_origin(done.row).back(request, "Registered."))
    if found and response.status_code != HELD:
        probing.discard(found[0])
    return response


@signed_in
@require_http_methods(["GET", "POST"])
def server_edit(request: HttpRequest, server_id: UUID) -> HttpResponse:
    """Change how a server is shown, or where one's own is."""
    server = server_for_read(actor_of(request), server_id)
    now = {"display_name": server.display_name, "description": server.description or "", "url": server.url}
    form = ServerForm(sent(request), is_managed=server.is_managed, initial=now)
    deed = server_origin(server).deed(request, form, heading=f"Edit {server.display_name}", button="Save")
    return answer(
        request,
        deed,
        lambda: [UpdateServer(server_id=server.id, changes=form.value)],
        then=lambda _: server_origin(server).back(request, "Saved."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def server_destroy(request: HttpRequest, server_id: UUID) -> HttpResponse:
    """Take a server out of service for good, and the deployment behind it."""
    actor = actor_of(request)
    server = server_for_read(actor, server_id)
    verb = "Destroy" if server.is_managed else "Archive"
    form = TypedName(sent(request), name=server.name)
    deed = server_origin(server).deed(request, form, heading=f"{verb} {server.display_name}", button=f"{verb} for good")
    deed.lead = "There is no way back. Its name becomes free; its log of calls and its audit entries stay."
    deed.picture, deed.is_grave = "trash-2", True
    users = agents_reached(actor, users_of_server(server), "Agents that have it")
    deed.reach = [*users, Reach("Credentials that are destroyed", hidden=live_credentials_of(server=server))]
    if users[0].count:
        deed.obstacle = "Agents have this server. Detach it from them first; then it can go."
    return answer(
        request,
        deed,
        lambda: _ending(server),
        then=lambda _: go(request, reverse("agents:servers"), saying=f"{server.display_name} is gone."),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def server_probe(request: HttpRequest, server_id: UUID) -> HttpResponse:
    """Have a server of one's own looked at now."""
    server = server_for_read(actor_of(request), server_id)
    form = ProbeForm(sent(request))
    deed = server_origin(server).deed(
        request, form, heading=f"Look at {server.display_name} now", button="Look at it", tab="tools"
    )
    deed.lead = "It is greeted and lists its tools. What is new or changed stays off until it is pinned."

    def then(done: Done) -> HttpResponse:
        probing.look(server, token=plain_token(SecretStr(form.cleaned_data["token"])))  # after the transaction
        return server_origin(server).back(request, "Looked at. What it answered is shown here.", tab="tools")

    return _outbound(request, deed, lambda: [ProbeServer(server_id=server.id)], then)


@signed_in
@require_POST
def server_pin(request: HttpRequest, server_id: UUID) -> HttpResponse:
    """Approve tools as they were seen on the page that sends this: by name, with the hash of what was seen."""
    tools: dict[str, str] = {}
    for one in request.POST.getlist("seen"):
        sha256, _, name = one.partition(" ")
        tools[name] = sha256
    if not tools:
        raise Invalid("Choose the tools to pin.")
    address = f"{reverse('agents:server', args=[server_id])}?tab=tools"
    command = PinTools(server_id=server_id, tools=tools)
    return performed(request, command, then=lambda _: go(request, address, saying="Pinned as they are now."))


@signed_in
@require_http_methods(["GET", "POST"])
def server_try(request: HttpRequest, server_id: UUID) -> HttpResponse:
    """Call one tool by hand, on the way that agents' calls take, and see what it answers."""
    actor = actor_of(request)
    server = server_for_read(actor, server_id)
    tool = tool_named(server, request.GET.get("tool", ""))
    if tool is None:
        raise NotFound
    definition = tool.definition or tool.pinned or {}
    form = JsonSchemaForm(sent(request), schemas={"arguments": definition.get("input_schema") or {}})
    if not server.is_managed:
        form.fields["token"] = TokenField(help_text="Shown to the server with this call and kept nowhere.")
    deed = server_origin(server).deed(request, form, heading=f"Try {tool.name}", button="Call it", tab="tools")
    deed.lead = str(definition.get("description") or "")
    deed.picture, deed.fields = "play", "agents/servers/_try_fields.html"

    def then(done: Done) -> HttpResponse:
        assert actor.principal_id is not None, "a person is signed in"
        token = plain_token(SecretStr(form.cleaned_data.get("token") or ""))
        arguments = form.values_of("arguments")
        called = try_tool(server, tool.name, arguments, principal_id=actor.principal_id, token=token)
        deed.context["called"] = called
        return shown(request, deed)

    return _outbound(request, deed, lambda: [TryTool(server_id=server.id, tool=tool.name)], then)


def _outbound(
    request: HttpRequest, deed: Deed, commands: Callable[[], Sequence[Command]], then: Callable[[Done], HttpResponse]
) -> HttpResponse:
    """Answer a deed that talks to a server once it is applied: what goes wrong there is said in the form too."""
    try:
        return answer(request, deed, commands, then)
    except (NotFound, AssertionError):
        raise
    except PowerloomError as error:
        deed.form.refuse(error)
        return shown(request, deed, status=error.status)


def _ending(server: MCPServer) -> list[Command]:
    archive = ArchiveServer(server_id=server.id)
    return [DestroyDeployment(deployment_id=server.deployment_id), archive] if server.deployment_id else [archive]
