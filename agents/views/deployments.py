"""Console views of managed deployments: the gallery of templates, deploying one, its config and policy, retrying."""

from __future__ import annotations

from typing import Any  # config and policy types differ by template
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.places import chosen_place, places_for, reason_against_new
from accounts.queries import secrets_visible_to
from accounts.reasons import reasons_against
from agents.actions import Action
from agents.commands import CreateDeployment, CreateServer, DeploymentChanges, RetryDeployment, UpdateDeployment
from agents.commands.deployments import settings_after
from agents.forms.servers import DeployForm, tool_choices
from agents.mcp import posted
from agents.mcp.absent import ABSENT
from agents.mcp.catalog import KINDS, TEMPLATES
from agents.models import MCPDeployment, MCPServer
from agents.queries.deployments import deployment_for_read, may_change, may_declare
from agents.queries.servers import server_for_read
from powerloom.commands.registry import Command
from powerloom.kernel.errors import NotFound
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.deeds import Deed, answer, sent
from powerloom.web.pages import go, page, signed_in
from powerloom.web.schemas import JsonSchemaForm
from powerloom.web.submitting import performed

MOST_OFFERED = 200  # secrets that a field suggests


@signed_in
@require_GET
def gallery(request: HttpRequest) -> HttpResponse:
    """What can be deployed here, and the way to register a server of one's own."""
    return page(
        request,
        "agents/servers/gallery.html",
        "agents/servers/_gallery.html",
        templates=[TEMPLATES[kind] for kind in KINDS if kind in TEMPLATES],
        absent=[ABSENT[kind] for kind in KINDS if kind not in TEMPLATES],
        deploy_refusal=reason_against_new(request, Action.MCP_DEPLOYMENT_CREATE),
        register_refusal=reason_against_new(request, Action.MCP_SERVER_CREATE),
        query=f"?{request.GET.urlencode()}" if request.GET else "",
    )


@signed_in
@require_http_methods(["GET", "POST"])
def deploy(request: HttpRequest, kind: str) -> HttpResponse:
    """Deploy a template, with its registration in the same set. The form is the template's own schema."""
    template = TEMPLATES.get(kind)
    if template is None:
        raise NotFound
    actor = actor_of(request)
    places = places_for(actor, Action.MCP_DEPLOYMENT_CREATE)
    form = DeployForm(sent(request), places=places, template=template, initial={"ou_id": chosen_place(request, places)})
    deed = Deed(
        form=form,
        url=request.get_full_path(),
        heading=f"Deploy {template.title}",
        lead=template.description,
        button="Deploy",
        back=reverse("agents:server_gallery"),
        fields="agents/servers/_deploy_fields.html",
        obstacle="" if places else reason_against_new(request, Action.MCP_DEPLOYMENT_CREATE),
        context={"secrets": _secret_names(request)},
    )

    def commands() -> list[Command]:
        id_, place = new_id(), form.place()
        said: dict[str, Any] = {
            "ou_id": place,
            "name": form.cleaned_data["name"],
            "display_name": form.cleaned_data["display_name"],
        }
        config, policy = form.values_of("config"), form.values_of("policy")
        settings = posted.told_or_withheld(kind, config, policy, is_told=lambda: may_declare(actor, place))
        deployment = CreateDeployment.model_validate({"id": id_, "template_kind": kind, **said, **settings})
        return [deployment, CreateServer(id=new_id(), deployment_id=id_, **said)]

    def then(done: Any) -> HttpResponse:
        address = reverse("agents:server", args=[done.rows[1].id])
        return go(request, address, saying="Deploying. It takes a few seconds; each step is shown here.")

    return answer(request, deed, commands, then)


@signed_in
@require_http_methods(["GET", "POST"])
def deployment_policy(request: HttpRequest, server_id: UUID) -> HttpResponse:
    """Say what may be done with a deployment; another policy counts from the next call on."""
    server, deployment = _faced(request, server_id)
    deed = policy_deed(request, server, deployment, sent(request))
    return _changed(request, deployment, deed, "policy", "Saved. It counts from the next call on.")


@signed_in
@require_http_methods(["GET", "POST"])
def deployment_config(request: HttpRequest, server_id: UUID) -> HttpResponse:
    """Say what a deployment serves; another config is deployed anew."""
    server, deployment = _faced(request, server_id)
    deed = config_deed(request, server, deployment, sent(request))
    return _changed(request, deployment, deed, "config", "Saved. It is deployed anew.")


@signed_in
@require_POST
def deployment_retry(request: HttpRequest, server_id: UUID) -> HttpResponse:
    """Deploy a failed one again as it is."""
    server, deployment = _faced(request, server_id)
    command = RetryDeployment(deployment_id=deployment.id)
    address = reverse("agents:server", args=[server.id])
    return performed(request, command, then=lambda _: go(request, address, saying="It is deployed again."))


def policy_deed(request: HttpRequest, server: MCPServer, deployment: MCPDeployment, data: Any = None) -> Deed:
    """Return the deed that changes a deployment's policy."""
    deed = _settings_deed(request, server, deployment, data, "policy")
    deed.lead = "Every call is judged by this before it runs. A change counts from the next call on."
    return deed


def config_deed(request: HttpRequest, server: MCPServer, deployment: MCPDeployment, data: Any = None) -> Deed:
    """Return the deed that changes a deployment's config."""
    deed = _settings_deed(request, server, deployment, data, "config")
    deed.lead = "What the deployment serves. Another config is deployed anew, step by step."
    return deed


def _settings_deed(request: HttpRequest, server: MCPServer, deployment: MCPDeployment, data: Any, part: str) -> Deed:
    template = TEMPLATES.get(deployment.template_kind)
    schema = getattr(template, part).model_json_schema() if template else {}
    form = JsonSchemaForm(
        data,
        schemas={part: schema},
        values={part: getattr(deployment, part)},
        choices=tool_choices(template) if template else {},
        auto_id=f"{part}-%s",
    )
    action = Action.MCP_DEPLOYMENT_UPDATE
    return Deed(
        form=form,
        url=reverse(f"agents:deployment_{part}", args=[server.id]),
        heading=f"{part.capitalize()} of {server.display_name}",
        button=f"Save the {part}",
        back=f"{reverse('agents:server', args=[server.id])}?tab={part}",
        path=server.ou.path,
        room=reverse("agents:servers"),
        fields="agents/servers/_settings_fields.html",
        obstacle=reasons_against(actor_of(request), deployment.target(), [action])[action],
        context={"secrets": _secret_names(request) if part == "config" else []},
    )


def _changed(request: HttpRequest, deployment: MCPDeployment, deed: Deed, part: str, saying: str) -> HttpResponse:
    form: Any = deed.form  # the schema's own form, of above
    name = f"{part}_json"

    def commands() -> list[Command]:
        changes = DeploymentChanges.model_validate({name: form.values_of(part)})
        settings = posted.told_or_withheld(
            deployment.template_kind,
            *settings_after(deployment, changes),
            is_told=lambda: may_change(actor_of(request), deployment),
        )
        changes = DeploymentChanges.model_validate({name: settings[name]})
        return [UpdateDeployment(deployment_id=deployment.id, changes=changes)]

    return answer(request, deed, commands, then=lambda _: go(request, deed.back, saying=saying))


def _faced(request: HttpRequest, server_id: UUID) -> tuple[MCPServer, MCPDeployment]:
    """Return a server and the deployment behind it, both of which the viewer may read. Raises `NotFound`."""
    actor = actor_of(request)
    server = server_for_read(actor, server_id)
    if server.deployment_id is None:
        raise NotFound
    return server, deployment_for_read(actor, server.deployment_id)


def _secret_names(request: HttpRequest) -> list[str]:
    names = secrets_visible_to(actor_of(request)).order_by("name").values_list("name", flat=True)
    return list(names.distinct()[:MOST_OFFERED])
