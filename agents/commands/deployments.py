"""Declare, change, retry and destroy managed MCP deployments.

A secret that a config names is looked for where it will be found when it is needed: in the deployment's OU and above,
the nearest first. One that is not there and one that the actor may not see are refused in the same words. Nothing of a
config is judged before the right to deploy it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Literal  # Any: config and policy are kept as posted
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone
from pydantic import ValidationError, model_serializer

from accounts.actions import Action as AccountsAction
from accounts.models import OU, Secret
from accounts.queries import ou_for, secrets_reaching, secrets_visible_to
from accounts.rbac import shown
from agents import delegating, deployments, queries
from agents.actions import Action
from agents.mcp import posted
from agents.mcp.catalog import TEMPLATES, Kind
from agents.mcp.template import SecretReference
from agents.models import Agent, AgentMCPServer, DeploymentStatus, MCPDeployment
from agents.spec import DisplayName, Name, Part
from powerloom.commands.registry import Change, Command, Need, Subject, handles
from powerloom.kernel.canonical import canonical
from powerloom.kernel.errors import Conflict, Invalid, NameTaken
from powerloom.kernel.refs import Actor, Target


class DeploymentFields(Part):
    """What one says of a new deployment. Config and policy are the template's, see `GET /mcp-templates`."""

    name: Name
    display_name: DisplayName
    ou_id: UUID
    template_kind: Kind
    isolation_mode: Literal["shared", "dedicated"] = "shared"
    config_json: dict[str, Any] = {}
    policy_json: dict[str, Any] = {}


class CreateDeployment(DeploymentFields, Command):
    """Declare a managed MCP server in an OU."""

    action: ClassVar[str] = Action.MCP_DEPLOYMENT_CREATE
    id: UUID


class DeploymentChanges(Part):
    """What is to change; what is not named stays, and config and policy are replaced as wholes.

    Another policy counts from the next call on; another config is deployed anew.
    """

    display_name: DisplayName = ""
    config_json: dict[str, Any] = {}
    policy_json: dict[str, Any] = {}

    @model_serializer
    def _only_named(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


class UpdateDeployment(Command):
    """Change how a deployment is shown, what it serves, or what may be done with it."""

    action: ClassVar[str] = Action.MCP_DEPLOYMENT_UPDATE
    deployment_id: UUID
    changes: DeploymentChanges


class RetryDeployment(Command):
    """Deploy a failed one again as it is."""

    action: ClassVar[str] = Action.MCP_DEPLOYMENT_RETRY
    deployment_id: UUID


class DestroyDeployment(Command):
    """Take a deployment out of service for good. Its registration goes in the same set."""

    action: ClassVar[str] = Action.MCP_DEPLOYMENT_DESTROY
    deployment_id: UUID


def load_create(command: CreateDeployment, actor: Actor) -> Subject:
    ou = ou_for(actor, command.ou_id)
    named = _named(command.template_kind, command.config_json, ou=ou, actor=actor)
    target = Target("mcp_deployment", command.id, command.name, ou.organization_id, ou.path)
    return Subject((ou, named, named.secrets()), target, needs=named.needs())


@handles(CreateDeployment, load=load_create)
def create_deployment(command: CreateDeployment, *, subject: Subject, actor: Actor) -> Change:
    ou, named, _ = subject.row
    if command.isolation_mode != "shared":
        words = "Only shared isolation is available here: the fleet serves every deployment, each behind its policy."
        raise Invalid(words, field="isolation_mode")
    posted.read(command.template_kind, command.config_json, command.policy_json)
    named.check()
    deployment = MCPDeployment(
        id=command.id,
        organization_id=ou.organization_id,
        ou=ou,
        name=command.name,
        display_name=command.display_name,
        template_kind=command.template_kind,
        isolation_mode=command.isolation_mode,
        config=command.config_json,
        policy=command.policy_json,
    )
    deployments.declared(deployment)
    taken = NameTaken(f"There is an MCP deployment {deployment.name} in this OU already.", field="name")
    if MCPDeployment.objects.filter(ou=ou, name=deployment.name, archived_at__isnull=True).exists():
        raise taken
    try:
        deployment.save(force_insert=True)
    except IntegrityError as error:  # another transaction took the name since we looked
        raise taken from error
    return Change(deployment, None, command.model_dump(mode="json", exclude={"id", "ou_id"}) | {"ou_path": ou.path})


def refuse_dedicated(fields: DeploymentFields) -> None:
    """Raise `Invalid` for a deployment that wants a process of its own."""
    if fields.isolation_mode != "shared":
        words = "Only shared isolation is available here: the fleet serves every deployment, each behind its policy."
        raise Invalid(words, field="isolation_mode")


def load_update(command: UpdateDeployment, actor: Actor) -> Subject:
    deployment = queries.deployment_for_change(actor, command.deployment_id)
    config, _ = settings_after(deployment, command.changes)
    named = _named(deployment.template_kind, config, ou=deployment.ou, actor=actor)
    # Whoever says what may be done with the power of a secret must be allowed to use it.
    touches = command.changes.model_fields_set & {"config_json", "policy_json"}
    loaded = (deployment, named, named.secrets())
    return Subject(loaded, deployment.target(), needs=(*named.needs(), *_delegating(deployment)) if touches else ())


def _delegating(deployment: MCPDeployment) -> tuple[Need, ...]:
    """What a deployment serves is read by the agents that have it, and so by those that act for people."""
    attached = AgentMCPServer.objects.filter(server__deployment=deployment)
    users = Agent.objects.filter(archived_at__isnull=True, pk__in=attached.values("agent_id"))
    return delegating.needs_of_any(users, deployment.organization_id)


@handles(UpdateDeployment, load=load_update)
def update_deployment(command: UpdateDeployment, *, subject: Subject, actor: Actor) -> Change:
    deployment, named, _ = subject.row
    changed = command.changes.model_fields_set
    config, policy = settings_after(deployment, command.changes)
    if changed & {"config_json", "policy_json"}:
        posted.read(deployment.template_kind, config, policy)
        named.check()
    before = _described(deployment)
    deployment.config, deployment.policy = config, policy
    if "display_name" in changed:
        deployment.display_name = command.changes.display_name
    after = _described(deployment)
    _save(deployment, "display_name", "config", "policy")
    if _differ(before["config_json"], after["config_json"]):
        deployments.begin_again(deployment)
    elif _differ(before["policy_json"], after["policy_json"]):
        deployments.look_again(deployment)
    return Change(deployment, *({name: side[name] for name in sorted(changed)} for side in (before, after)))


def load_deployment(command: RetryDeployment | DestroyDeployment, actor: Actor) -> Subject:
    deployment = queries.deployment_for_change(actor, command.deployment_id)
    return Subject(deployment, deployment.target())


@handles(RetryDeployment, load=load_deployment)
def retry_deployment(command: RetryDeployment, *, subject: Subject, actor: Actor) -> Change:
    deployment: MCPDeployment = subject.row
    if deployment.status != DeploymentStatus.FAILED:
        raise Conflict(f"{deployment.name} is {deployment.status}; only a failed deployment can be retried.")
    deployments.begin_again(deployment)
    return Change(deployment, {"status": DeploymentStatus.FAILED.value}, {"status": deployment.status})


@handles(DestroyDeployment, load=load_deployment)
def destroy_deployment(command: DestroyDeployment, *, subject: Subject, actor: Actor) -> Change:
    deployment: MCPDeployment = subject.row
    before = deployment.status
    _save(deployment)
    deployments.end(deployment, timezone.now())
    return Change(deployment, {"status": before}, {"status": deployment.status})


def settings_after(deployment: MCPDeployment, changes: DeploymentChanges) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the config and policy that a deployment would have with the changes, as posted."""
    named = changes.model_fields_set
    config = changes.config_json if "config_json" in named else deployment.config
    policy = changes.policy_json if "policy_json" in named else deployment.policy
    return config, policy


@dataclass(frozen=True)
class Named:
    """The secrets that a config names, and what each name means to the actor."""

    place: str
    references: tuple[SecretReference, ...]
    visible: dict[str, Secret]

    def secrets(self) -> list[Secret]:
        """Return those that the actor sees: what is approved is about them as they are now."""
        return list(self.visible.values())

    def needs(self) -> tuple[Need, ...]:
        """Return the uses that they take."""
        return tuple(Need(AccountsAction.SECRET_USE, secret.target()) for secret in self.visible.values())

    def check(self) -> None:
        """Raise `Invalid` for a name that means nothing here, or a secret that is kept for something else."""
        for one in self.references:
            field, secret = f"config_json.{one.field}", self.visible.get(one.name)
            if secret is None:
                words = f"There is no secret {one.name} that you can see in {self.place} or above."
                raise Invalid(f"{field}: {words}", field=field)
            if secret.kind != one.kind:
                words = f"The secret {one.name} is of kind {secret.kind}, and one of kind {one.kind} is needed."
                raise Invalid(f"{field}: {words}", field=field)


def _named(kind: str, config: dict[str, Any], *, ou: OU, actor: Actor) -> Named:
    """Return what the config names; nothing when it is not good, which the handler finds too."""
    references: tuple[SecretReference, ...] = ()
    if template := TEMPLATES.get(kind):
        with suppress(ValidationError):
            references = template.secrets(template.read_config(config))
    meant = secrets_reaching(ou.id, [one.name for one in references]) if references else {}
    ids = [secret.pk for secret in meant.values()]
    seen = set(secrets_visible_to(actor).filter(pk__in=ids).values_list("pk", flat=True)) if ids else set()
    return Named(shown(ou.path), references, {name: secret for name, secret in meant.items() if secret.pk in seen})


def _described(deployment: MCPDeployment) -> dict[str, Any]:
    return {
        "display_name": deployment.display_name,
        "config_json": deployment.config,
        "policy_json": deployment.policy,
    }


def _differ(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return canonical(before) != canonical(after)


def _save(deployment: MCPDeployment, *fields: str) -> None:
    deployment.generation += 1
    deployment.save(update_fields=[*fields, "generation", "updated_at"])
