"""Registrations of foreign MCP servers, and managed deployments with theirs."""

from __future__ import annotations

from agents.commands import CreateDeployment, CreateServer, DeploymentChanges, UpdateDeployment, UpdateServer
from agents.commands.servers import ServerChanges
from agents.mcp import posted
from powerloom.kernel.errors import Invalid
from powerloom.kernel.ids import new_id
from powerloom.manifests.documents import Document
from powerloom.manifests.scene import Scene
from powerloom.manifests.steps import Step, Unfit, Verb, created, differences, named, need, shown_name

WIRE = {"config": "config_json", "policy": "policy_json"}


def registration(document: Document, scene: Scene) -> Step:
    row = scene.servers.get(document.address)
    if row is None:
        need(document)
        command = CreateServer(
            id=new_id(),
            ou_id=scene.ou_id(document.metadata.ou_path),
            name=document.metadata.name,
            display_name=shown_name(document),
            description=named(document).get("description"),
            url=document.spec.url,
        )
        scene.made["MCPServerRegistration", document.address] = command.id
        return created(document, command)
    if row.is_managed:
        raise Unfit("This is the registration of a managed deployment; change the deployment.", "metadata", "name")
    now = {"display_name": row.display_name, "url": row.url, "description": row.description}
    changes = differences(document, now)
    fields = {name: new for name, (_, new) in changes.items()}
    commands = [UpdateServer(server_id=row.id, changes=ServerChanges(**fields))] if changes else []
    return Step(document, Verb.UPDATE if changes else Verb.NOOP, list(commands), changes)


def deployment(document: Document, scene: Scene) -> Step:
    row = scene.deployments.get(document.address)
    if row is None:
        return _new(document, scene)
    now = {
        "display_name": row.display_name,
        "template_kind": row.template_kind,
        "isolation_mode": row.isolation_mode,
        "config": row.config,
        "policy": row.policy,
    }
    changes = differences(document, now)
    _check(row.template_kind, named(document).get("config", row.config), named(document).get("policy", row.policy))
    fields = {WIRE.get(name, name): new for name, (_, new) in changes.items()}
    commands = [UpdateDeployment(deployment_id=row.id, changes=DeploymentChanges(**fields))] if changes else []
    return Step(document, Verb.UPDATE if changes else Verb.NOOP, list(commands), changes)


def _new(document: Document, scene: Scene) -> Step:
    need(document)
    spec = document.spec
    _check(spec.template_kind, spec.config, spec.policy)
    common = {
        "ou_id": scene.ou_id(document.metadata.ou_path),
        "name": document.metadata.name,
        "display_name": shown_name(document),
    }
    declared = CreateDeployment(
        id=new_id(),
        template_kind=spec.template_kind,
        isolation_mode=spec.isolation_mode,
        config_json=spec.config,
        policy_json=spec.policy,
        **common,
    )
    face = CreateServer(id=new_id(), deployment_id=declared.id, **common)
    scene.made["MCPDeployment", document.address] = declared.id
    scene.made["MCPDeployment.registration", document.address] = face.id
    return created(document, declared, face)


def _check(kind: str, config: dict[str, object], policy: dict[str, object]) -> None:
    try:
        posted.read(kind, config, policy)
    except Invalid as error:
        raise Unfit(error.message, "spec") from error
