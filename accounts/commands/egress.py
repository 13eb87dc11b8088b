"""Egress rules: which hosts with private addresses an organization's outbound calls may reach."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone

from accounts import queries
from accounts.actions import Action
from accounts.models import EgressRule
from accounts.names import HostPattern
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import NameTaken
from powerloom.kernel.refs import Actor, Target


class CreateEgressRule(Command):
    """Let outbound calls of the whole organization reach the private addresses of a host, or of all hosts below it."""

    action: ClassVar[str] = Action.EGRESS_RULE_CREATE
    id: UUID
    pattern: HostPattern


class DeleteEgressRule(Command):
    """Close the way that a rule opened; calls that are under way end as they would have."""

    action: ClassVar[str] = Action.EGRESS_RULE_DELETE
    rule_id: UUID


def load_create(command: CreateEgressRule, actor: Actor) -> Subject:
    root = queries.root_of(actor)
    return Subject(root, Target("egress_rule", command.id, command.pattern, root.organization_id, root.path))


@handles(CreateEgressRule, load=load_create)
def create_egress_rule(command: CreateEgressRule, *, subject: Subject, actor: Actor) -> Change:
    organization_id = subject.row.organization_id
    rule = EgressRule(id=command.id, organization_id=organization_id, pattern=command.pattern)
    taken = NameTaken(f"There is a rule for {rule.pattern} already.", field="pattern")
    if EgressRule.objects.filter(
        organization_id=organization_id, pattern=rule.pattern, archived_at__isnull=True
    ).exists():
        raise taken
    try:
        rule.save(force_insert=True)
    except IntegrityError as error:  # another transaction made it since we looked
        raise taken from error
    return Change(rule, None, {"pattern": rule.pattern})


def load_delete(command: DeleteEgressRule, actor: Actor) -> Subject:
    rule = queries.egress_rule_for_change(actor, command.rule_id)
    return Subject(rule, rule.target())


@handles(DeleteEgressRule, load=load_delete)
def delete_egress_rule(command: DeleteEgressRule, *, subject: Subject, actor: Actor) -> Change:
    rule: EgressRule = subject.row
    rule.archived_at = timezone.now()
    rule.save(update_fields=["archived_at"])
    return Change(rule, {"pattern": rule.pattern}, None)
