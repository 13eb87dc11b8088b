"""Policies: made, changed, switched off, ended. Each change is held by the policy as it was (`approvals.matching`).

A policy guards itself: whoever changes it needs `approval_policy:manage` above its scope, and one that nobody could
satisfy is refused. An OrgAdmin may switch one off at once, with a reason, because a gate that cannot be opened stops
the work it guards.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self  # Any: audit payloads are JSON
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone
from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from accounts.models import OU
from accounts.names import Name
from accounts.queries import group_for, ou_for, role_for
from accounts.rbac import shown
from accounts.roles import known_actions
from approvals import conditions, eligibility, patterns, queries
from approvals.actions import Action
from approvals.models import ApprovalPolicy, Demand
from approvals.models.policies import DEFAULT_TTL_SECONDS
from powerloom.commands.registry import Change, Command, Need, Subject, handles
from powerloom.kernel.errors import Invalid, NameTaken, Stale
from powerloom.kernel.refs import Actor, Target

MOST_QUORUM = 20
SHORTEST_TTL, LONGEST_TTL = 60, 90 * 24 * 3600  # seconds

Pattern = Annotated[str, Field(pattern=r"^(\*|[a-z][a-z_]*:(\*|[a-z][a-z_]*))$", max_length=100)]
Condition = Annotated[str, Field(max_length=conditions.LONGEST)]
Quorum = Annotated[int, Field(ge=1, le=MOST_QUORUM)]
Ttl = Annotated[int, Field(ge=SHORTEST_TTL, le=LONGEST_TTL)]
Text = Annotated[str, Field(max_length=1000)]
Reason = Annotated[str, Field(min_length=1, max_length=1000)]


class Part(BaseModel):
    """Base of what a body says: frozen, and without fields that nobody knows."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PolicyFields(Part):
    """What one says of a new policy. Exactly one of role and group decides."""

    name: Name
    description: Text = ""
    scope_ou_id: UUID
    action_pattern: Pattern
    condition: Condition = ""
    approver_role_id: UUID | None = None
    approver_group_id: UUID | None = None
    quorum: Quorum = 1
    ttl_seconds: Ttl = DEFAULT_TTL_SECONDS
    justification_required: bool = False
    is_on: bool = True

    @model_validator(mode="after")
    def _one_approver(self) -> Self:
        if (self.approver_role_id is None) == (self.approver_group_id is None):
            raise ValueError("name either approver_role_id or approver_group_id")
        return self


class CreatePolicy(PolicyFields, Command):
    """Make a policy for an OU and all below."""

    action: ClassVar[str] = Action.APPROVAL_POLICY_CREATE
    id: UUID


class PolicyChanges(Part):
    """What is to change about a policy; what is not named stays. Naming one kind of approver replaces the other."""

    description: Text = ""
    action_pattern: Pattern = "*"
    condition: Condition = ""
    approver_role_id: UUID | None = None
    approver_group_id: UUID | None = None
    quorum: Quorum = 1
    ttl_seconds: Ttl = DEFAULT_TTL_SECONDS
    justification_required: bool = False
    is_on: bool = True

    @model_validator(mode="after")
    def _one_approver(self) -> Self:
        if self.approver_role_id is not None and self.approver_group_id is not None:
            raise ValueError("name either approver_role_id or approver_group_id")
        return self

    @model_serializer
    def _only_named(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


class UpdatePolicy(Command):
    """Change what is named. `generation`, when given, is the one that the caller saw."""

    action: ClassVar[str] = Action.APPROVAL_POLICY_UPDATE
    policy_id: UUID
    changes: PolicyChanges
    generation: Annotated[int, Field(ge=0, le=2**53 - 1)] | None = None


class ArchivePolicy(Command):
    """End a policy. What it holds is judged by the policies of the moment at which it is applied."""

    action: ClassVar[str] = Action.APPROVAL_POLICY_ARCHIVE
    policy_id: UUID


class SwitchOffPolicy(Command):
    """Let a policy hold nothing more, at once and with a reason. Held by nobody; only an OrgAdmin may."""

    action: ClassVar[str] = Action.APPROVAL_POLICY_SWITCH_OFF
    policy_id: UUID
    reason: Reason


def load_create(command: CreatePolicy, actor: Actor) -> Subject:
    scope = ou_for(actor, command.scope_ou_id)
    target = Target("approval_policy", command.id, command.name, scope.organization_id, scope.path)
    _check(command.action_pattern, command.condition)
    rows = (scope, *_approver(actor, command.approver_role_id, command.approver_group_id))
    return Subject(rows, target, needs=(_above(scope),))


@handles(CreatePolicy, load=load_create, changes_access=True)
def create_policy(command: CreatePolicy, *, subject: Subject, actor: Actor) -> Change:
    scope, role, group = subject.row
    fields = command.model_dump(exclude={"id", "scope_ou_id", "approver_role_id", "approver_group_id"})
    policy = ApprovalPolicy(
        id=command.id,
        organization_id=scope.organization_id,
        scope_ou=scope,
        scope_path=scope.path,
        approver_role=role,
        approver_group=group,
        **fields,
    )
    _check_satisfiable(policy)
    _insert(policy)
    return Change(policy, None, _described(policy))


def load_policy(command: UpdatePolicy | ArchivePolicy, actor: Actor) -> Subject:
    policy = queries.policy_for_change(actor, command.policy_id)
    return Subject(policy, policy.target(), needs=(_above(policy.scope_ou),))


@handles(UpdatePolicy, load=load_policy, changes_access=True)
def update_policy(command: UpdatePolicy, *, subject: Subject, actor: Actor) -> Change:
    policy: ApprovalPolicy = subject.row
    if command.generation is not None and command.generation != policy.generation:
        raise Stale(f"{policy.name} was changed meanwhile. Read it again, then decide.", generation=policy.generation)
    before = _described(policy)
    named = command.changes.model_dump()
    approver = {name: named.pop(name, None) for name in ("approver_role_id", "approver_group_id")}
    for name, value in named.items():
        setattr(policy, name, value)
    if any(approver.values()):
        policy.approver_role, policy.approver_group = _approver(actor, **approver)
    _check(policy.action_pattern, policy.condition)
    _check_satisfiable(policy)
    policy.generation += 1
    policy.save()
    return Change(policy, before, _described(policy))


@handles(ArchivePolicy, load=load_policy, changes_access=True)
def archive_policy(command: ArchivePolicy, *, subject: Subject, actor: Actor) -> Change:
    policy: ApprovalPolicy = subject.row
    policy.archived_at, policy.generation = timezone.now(), policy.generation + 1
    policy.save(update_fields=["archived_at", "generation", "updated_at"])
    return Change(policy, _described(policy), None)


def load_switch_off(command: SwitchOffPolicy, actor: Actor) -> Subject:
    policy = queries.policy_for_change(actor, command.policy_id)
    return Subject(policy, policy.target())


@handles(SwitchOffPolicy, load=load_switch_off, changes_access=True, holdable=False)
def switch_off_policy(command: SwitchOffPolicy, *, subject: Subject, actor: Actor) -> Change:
    policy: ApprovalPolicy = subject.row
    before = {"is_on": policy.is_on}
    policy.is_on, policy.generation = False, policy.generation + 1
    policy.save(update_fields=["is_on", "generation", "updated_at"])
    return Change(policy, before, {"is_on": False, "reason": command.reason})


def _above(scope: OU) -> Need:
    """Whoever manages a policy does so from above its scope; at the root there is nothing above."""
    place = scope.parent or scope
    return Need(Action.APPROVAL_POLICY_MANAGE, place.target())


def _approver(actor: Actor, approver_role_id: UUID | None, approver_group_id: UUID | None) -> tuple[Any, Any]:
    role = role_for(actor, approver_role_id) if approver_role_id else None
    group = group_for(actor, approver_group_id) if approver_group_id else None
    return role, group


def _check(pattern: str, condition: str) -> None:
    conditions.check(condition)
    if not patterns.is_known(pattern, known_actions()):
        raise Invalid(f"No action matches {pattern}.", field="action_pattern")


def _check_satisfiable(policy: ApprovalPolicy) -> None:
    """Raise `Invalid` when fewer people could decide than the quorum asks, one of whom may be the requester."""
    if not policy.is_on:
        return
    demand = Demand(
        ou=policy.scope_ou, approver_role_id=policy.approver_role_id, approver_group_id=policy.approver_group_id
    )
    able = eligibility.people(demand).count()
    if able < policy.quorum:
        raise Invalid(
            f"Nobody could approve this: {policy.quorum} of {policy.approver} are asked on {shown(policy.scope_path)}, "
            f"and there are {able}. Name others, or give the role to somebody first.",
            field="quorum" if able else "approver_role_id" if policy.approver_role_id else "approver_group_id",
        )


def _insert(policy: ApprovalPolicy) -> None:
    taken = NameTaken(f"There is an approval policy {policy.name} already.", field="name")
    live = ApprovalPolicy.objects.filter(
        organization_id=policy.organization_id, name=policy.name, archived_at__isnull=True
    )
    if live.exists():
        raise taken
    try:
        policy.save(force_insert=True)
    except IntegrityError as error:  # another transaction took the name since we looked
        raise taken from error


def _described(policy: ApprovalPolicy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "scope_ou_path": shown(policy.scope_path),
        "action_pattern": policy.action_pattern,
        "condition": policy.condition,
        "approver": policy.approver,
        "quorum": policy.quorum,
        "ttl_seconds": policy.ttl_seconds,
        "justification_required": policy.justification_required,
        "is_on": policy.is_on,
    }
