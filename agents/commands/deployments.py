"""Declare, change, retry and destroy managed MCP deployments.

A secret that a config names is looked for where it will be found when it is needed: in the deployment's OU and above,
the nearest first. One that is not there and one that the actor may not see are refused in the same words. Nothing of a
config is judged before the right to deploy it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar, Literal  # Any: config and policy are kept as posted
from uuid import UUID

from django.utils import timezone
from pydantic import ValidationError, model_serializer

from accounts.actions import Action as AccountsAction
from accounts.models import OU, Secret
from accounts.queries import ous_for, secrets_reaching_each, secrets_seen
from accounts.rbac import shown
from agents import delegating, deployments, queries
from agents.actions import Action
from agents.mcp import posted
from agents.mcp.catalog import TEMPLATES, Kind
from agents.mcp.template import SecretReference
from agents.models import AgentMCPServer, DeploymentStatus, MCPDeployment
from agents.queries.deployments import deployments_for_change
from agents.spec import DisplayName, Name, Part
from powerloom.commands.naming import insert_named
from powerloom.commands.registry import Change, Command, Found, Need, Subject, each, handles, handles_all, subjects_in
from powerloom.kernel.canonical import canonical
from powerloom.kernel.errors import Conflict, Invalid, NotFound
from powerloom.kernel.refs import Actor, Target

CHANGED = ["display_name", "config", "policy", "generation", "updated_at"]


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


def load_creates(commands: Sequence[CreateDeployment], actor: Actor) -> list[Found]:
    ous = ous_for(actor, [command.ou_id for command in commands])
    asked = [(command.template_kind, command.config_json, ous.get(command.ou_id)) for command in commands]
    found: list[Found] = []
    for command, (_, _, ou), named in zip(commands, asked, _named_each(asked, actor), strict=True):
        if ou is None:
            found.append(NotFound())
            continue
        target = Target("mcp_deployment", command.id, command.name, ou.organization_id, ou.path)
        found.append(Subject((ou, named, named.secrets()), target, needs=named.needs()))
    return found


@handles_all(CreateDeployment, load=load_creates)
def create_deployments(
    commands: Sequence[CreateDeployment], *, subjects: Sequence[Subject], actor: Actor
) -> list[Change]:
    def make(place: int) -> MCPDeployment:
        command, (ou, named, _) = commands[place], subjects[place].row
        refuse_dedicated(command)
        posted.read(command.template_kind, command.config_json, command.policy_json)
        named.check()
        return _new(command, ou)

    made = each(len(commands), make)
    insert_named(MCPDeployment, made, what="an MCP deployment")
    return [
        Change(one, None, command.model_dump(mode="json", exclude={"id", "ou_id"}) | {"ou_path": one.ou.path})
        for command, one in zip(commands, made, strict=True)
    ]


def _new(command: CreateDeployment, ou: OU) -> MCPDeployment:
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
    return deployment


def refuse_dedicated(fields: DeploymentFields) -> None:
    """Raise `Invalid` for a deployment that wants a process of its own."""
    if fields.isolation_mode != "shared":
        words = "Only shared isolation is available here: the fleet serves every deployment, each behind its policy."
        raise Invalid(words, field="isolation_mode")


def load_updates(commands: Sequence[UpdateDeployment], actor: Actor) -> list[Found]:
    rows = deployments_for_change(actor, [command.deployment_id for command in commands])
    # What a deployment serves is read by the agents that have it, and so by those that act for people.
    attached = AgentMCPServer.objects.filter(server__deployment__in=rows)
    further = delegating.needs_through(attached, "server__deployment_id")
    there = [rows.get(command.deployment_id) for command in commands]
    asked = [
        (row.template_kind, settings_after(row, command.changes)[0], row.ou) if row else ("", {}, None)
        for row, command in zip(there, commands, strict=True)
    ]
    found: list[Found] = []
    for row, command, named in zip(there, commands, _named_each(asked, actor), strict=True):
        if row is None:
            found.append(NotFound())
            continue
        # Whoever says what may be done with the power of a secret must be allowed to use it.
        touches = command.changes.model_fields_set & {"config_json", "policy_json"}
        needs = (*named.needs(), *further.get(row.id, ())) if touches else ()
        found.append(Subject((row, named, named.secrets()), row.target(), needs=needs))
    return found


@handles_all(UpdateDeployment, load=load_updates)
def update_deployments(
    commands: Sequence[UpdateDeployment], *, subjects: Sequence[Subject], actor: Actor
) -> list[Change]:
    changed: dict[UUID, MCPDeployment] = {}
    anew: dict[UUID, MCPDeployment] = {}  # begin again, or are only looked at again
    looked: dict[UUID, MCPDeployment] = {}

    def update(place: int) -> Change:
        deployment, named, _ = subjects[place].row
        changes = commands[place].changes
        fields = changes.model_fields_set
        config, policy = settings_after(deployment, changes)
        if fields & {"config_json", "policy_json"}:
            posted.read(deployment.template_kind, config, policy)
            named.check()
        before = _described(deployment)
        deployment.config, deployment.policy = config, policy
        if "display_name" in fields:
            deployment.display_name = changes.display_name
        deployment.generation += 1
        after = _described(deployment)
        changed[deployment.id] = deployment
        if _differ(before["config_json"], after["config_json"]):
            anew[deployment.id] = deployment
        elif _differ(before["policy_json"], after["policy_json"]):
            looked[deployment.id] = deployment
        return Change(deployment, *({name: side[name] for name in sorted(fields)} for side in (before, after)))

    done = each(len(commands), update)
    for deployment in changed.values():
        deployment.updated_at = timezone.now()
    MCPDeployment.objects.bulk_update(changed.values(), CHANGED)
    deployments.begin_again(anew.values())
    deployments.look_again(one for one in looked.values() if one.id not in anew)
    return done


def load_deployment(command: RetryDeployment, actor: Actor) -> Subject:
    deployment = queries.deployment_for_change(actor, command.deployment_id)
    return Subject(deployment, deployment.target())


@handles(RetryDeployment, load=load_deployment)
def retry_deployment(command: RetryDeployment, *, subject: Subject, actor: Actor) -> Change:
    deployment: MCPDeployment = subject.row
    if deployment.status != DeploymentStatus.FAILED:
        raise Conflict(f"{deployment.name} is {deployment.status}; only a failed deployment can be retried.")
    deployments.begin_again([deployment])
    return Change(deployment, {"status": DeploymentStatus.FAILED.value}, {"status": deployment.status})


def load_destroys(commands: Sequence[DestroyDeployment], actor: Actor) -> list[Found]:
    ids = [command.deployment_id for command in commands]
    return subjects_in(deployments_for_change(actor, ids), ids)


@handles_all(DestroyDeployment, load=load_destroys)
def destroy_deployments(
    commands: Sequence[DestroyDeployment], *, subjects: Sequence[Subject], actor: Actor
) -> list[Change]:
    rows: list[MCPDeployment] = [subject.row for subject in subjects]
    before = each(len(rows), lambda place: rows[place].status, once=lambda place: rows[place].id)
    now = timezone.now()
    for row in rows:
        row.generation, row.updated_at = row.generation + 1, now
    MCPDeployment.objects.bulk_update(rows, ["generation", "updated_at"])
    deployments.end(rows, now)
    return [Change(row, {"status": was}, {"status": row.status}) for row, was in zip(rows, before, strict=True)]


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


def _named_each(asked: Sequence[tuple[str, dict[str, Any], OU | None]], actor: Actor) -> list[Named]:
    """Return what each of these configs, of templates by their kinds, names in its OU; two queries.

    Nothing for one that is not good, which the handler finds too.
    """
    references = [_references(kind, config) if ou else () for kind, config, ou in asked]
    pairs = [(ou, one.name) for (_, _, ou), names in zip(asked, references, strict=True) for one in names if ou]
    meant = secrets_reaching_each((ou.id, name) for ou, name in pairs)
    seen = secrets_seen(actor, meant.values())
    found = []
    for (_, _, ou), names in zip(asked, references, strict=True):
        mine = {one.name: meant[ou.id, one.name] for one in names if ou and (ou.id, one.name) in meant}
        visible = {name: secret for name, secret in mine.items() if secret.pk in seen}
        found.append(Named(shown(ou.path) if ou else "", names, visible))
    return found


def _references(kind: str, config: dict[str, Any]) -> tuple[SecretReference, ...]:
    if template := TEMPLATES.get(kind):
        with suppress(ValidationError):
            return template.secrets(template.read_config(config))
    return ()


def _described(deployment: MCPDeployment) -> dict[str, Any]:
    return {
        "display_name": deployment.display_name,
        "config_json": deployment.config,
        "policy_json": deployment.policy,
    }


def _differ(before: dict[str, Any], after: dict[str, Any]) -> bool:
    return canonical(before) != canonical(after)
