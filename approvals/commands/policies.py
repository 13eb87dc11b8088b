"""Policies: made, changed, switched off, ended. Each change is held by the policy as it was (`approvals.matching`).

A policy guards itself: whoever changes it needs `approval_policy:manage` above its scope, and one that nobody could
satisfy is refused. An OrgAdmin may switch one off at once, with a reason, because a gate that cannot be opened stops
the work it guards.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self  # Any: audit payloads are JSON
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Q
from django.utils import timezone
from pydantic import BaseModel, ConfigDict, Field, model_serializer, model_validator

from accounts.models import OU, Group, Role
from accounts.names import Name
from accounts.queries import groups_for, ous_for, roles_for
from accounts.rbac import shown
from accounts.roles import known_actions
from approvals import conditions, eligibility, patterns, queries
from approvals.actions import Action
from approvals.models import ApprovalPolicy, Demand
from approvals.models.policies import DEFAULT_TTL_SECONDS
from powerloom.commands.registry import Change, Command, Found, Need, Subject, each, handles, handles_all
from powerloom.kernel.errors import Invalid, NameTaken, NotFound, PowerloomError, Stale
from powerloom.kernel.refs import Actor, Target

MOST_QUORUM = 20
SHORTEST_TTL, LONGEST_TTL = 60, 90 * 24 * 3600  # seconds
CHANGED = [
    "description",
    "action_pattern",
    "condition",
    "approver_role",
    "approver_group",
    "quorum",
    "ttl_seconds",
    "justification_required",
    "is_on",
    "generation",
    "updated_at",
]

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


def load_creates(commands: Sequence[CreatePolicy], actor: Actor) -> list[Found]:
    scopes = ous_for(actor, [command.scope_ou_id for command in commands])
    above = _above(scopes.values(), actor)
    approvers = Approvers.of(commands, actor)
    return [_to_make(command, scopes.get(command.scope_ou_id), above, approvers) for command in commands]


def _to_make(
    command: CreatePolicy, scope: OU | None, above: Mapping[UUID, tuple[Need, ...]], approvers: Approvers
) -> Found:
    if scope is None:
        return NotFound()
    try:
        rows = (scope, *approvers.named(command))
    except PowerloomError as error:
        return error
    target = Target("approval_policy", command.id, command.name, scope.organization_id, scope.path)
    return Subject(rows, target, needs=above[scope.id])


@handles_all(CreatePolicy, load=load_creates, changes_access=True)
def create_policies(commands: Sequence[CreatePolicy], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    def create(place: int) -> ApprovalPolicy:
        _check(commands[place].action_pattern, commands[place].condition)
        return _new(commands[place], *subjects[place].row)

    policies = each(len(commands), create)
    _insert(policies)
    return [Change(policy, None, _described(policy)) for policy in policies]


def _new(command: CreatePolicy, scope: OU, role: Role | None, group: Group | None) -> ApprovalPolicy:
    return ApprovalPolicy(
        id=command.id,
        organization_id=scope.organization_id,
        scope_ou=scope,
        scope_path=scope.path,
        approver_role=role,
        approver_group=group,
        **command.model_dump(exclude={"id", "scope_ou_id", "approver_role_id", "approver_group_id"}),
    )


def load(commands: Sequence[UpdatePolicy | ArchivePolicy], actor: Actor) -> list[Found]:
    policies = queries.policies_for_change(actor, [command.policy_id for command in commands])
    above = _above([policy.scope_ou for policy in policies.values()], actor)
    rows = [policies.get(command.policy_id) for command in commands]
    return [Subject(row, row.target(), needs=above[row.scope_ou_id]) if row else NotFound() for row in rows]


@handles_all(UpdatePolicy, load=load, changes_access=True)
def update_policies(commands: Sequence[UpdatePolicy], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    approvers = Approvers.of([command.changes for command in commands], actor)

    def update(place: int) -> tuple[ApprovalPolicy, Change]:
        command, policy = commands[place], subjects[place].row
        if command.generation is not None and command.generation != policy.generation:
            raise Stale(
                f"{policy.name} was changed meanwhile. Read it again, then decide.", generation=policy.generation
            )
        before = _described(policy)
        named = command.changes.model_dump()
        approver = {name: named.pop(name, None) for name in ("approver_role_id", "approver_group_id")}
        for name, value in named.items():
            setattr(policy, name, value)
        if any(approver.values()):
            policy.approver_role, policy.approver_group = approvers.named(command.changes)
        _check(policy.action_pattern, policy.condition)
        policy.generation += 1
        return policy, Change(policy, before, _described(policy))

    done = each(len(commands), update)
    _check_satisfiable([policy for policy, _ in done])
    changed = {policy.pk: policy for policy, _ in done}
    for policy in changed.values():
        policy.updated_at = timezone.now()
    ApprovalPolicy.objects.bulk_update(changed.values(), CHANGED)
    return [change for _, change in done]


@handles_all(ArchivePolicy, load=load, changes_access=True)
def archive_policies(commands: Sequence[ArchivePolicy], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    policies: list[ApprovalPolicy] = [subject.row for subject in subjects]
    now = timezone.now()

    def archive(place: int) -> Change:
        policy = policies[place]
        policy.archived_at = policy.updated_at = now
        policy.generation += 1
        return Change(policy, _described(policy), None)

    changes = each(len(policies), archive, once=lambda place: policies[place].id)
    ApprovalPolicy.objects.bulk_update(policies, ["archived_at", "generation", "updated_at"])
    return changes


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


def _above(scopes: Collection[OU], actor: Actor) -> dict[UUID, tuple[Need, ...]]:
    """Whoever manages a policy does so from above its scope; at the root there is nothing above. One query.

    A policy may be left of OUs that are archived: it ends like any other.
    """
    ids = {scope.parent_id for scope in scopes if scope.parent_id}
    parents = OU.objects.filter(Q(organization_id=actor.organization_id)).in_bulk(ids)
    places = {scope.id: parents[scope.parent_id] if scope.parent_id else scope for scope in scopes}
    return {id_: (Need(Action.APPROVAL_POLICY_MANAGE, place.target()),) for id_, place in places.items()}


@dataclass(frozen=True)
class Approvers:
    """The roles and groups that some policies name, as far as they are there."""

    roles: Mapping[UUID, Role]
    groups: Mapping[UUID, Group]

    @classmethod
    def of(cls, said: Sequence[PolicyFields | PolicyChanges], actor: Actor) -> Approvers:
        """Load them; three queries at most."""
        roles = {one.approver_role_id for one in said if one.approver_role_id}
        groups = {one.approver_group_id for one in said if one.approver_group_id}
        return cls(roles_for(actor, roles) if roles else {}, groups_for(actor, groups) if groups else {})

    def named(self, said: PolicyFields | PolicyChanges) -> tuple[Role | None, Group | None]:
        """Return the role and the group that are named. Raises `NotFound`."""
        role = self.roles.get(said.approver_role_id) if said.approver_role_id else None
        group = self.groups.get(said.approver_group_id) if said.approver_group_id else None
        if (said.approver_role_id and role is None) or (said.approver_group_id and group is None):
            raise NotFound
        return role, group


def _check(pattern: str, condition: str) -> None:
    conditions.check(condition)
    if not patterns.is_known(pattern, known_actions()):
        raise Invalid(f"No action matches {pattern}.", field="action_pattern")


def _check_satisfiable(policies: Sequence[ApprovalPolicy]) -> None:
    """Raise `Invalid` for those where fewer people could decide than the quorum asks, one of whom may be the requester.

    Two queries for any number of them.
    """
    able = eligibility.counts(
        [
            Demand(ou=one.scope_ou, approver_role_id=one.approver_role_id, approver_group_id=one.approver_group_id)
            for one in policies
        ]
    )
    each(len(policies), lambda place: _check_quorum(policies[place], able[place]))


def _check_quorum(policy: ApprovalPolicy, able: int) -> None:
    if policy.is_on and able < policy.quorum:
        raise Invalid(
            f"Nobody could approve this: {policy.quorum} of {policy.approver} are asked on {shown(policy.scope_path)}, "
            f"and there are {able}. Name others, or give the role to somebody first.",
            field="quorum" if able else "approver_role_id" if policy.approver_role_id else "approver_group_id",
        )


def _insert(policies: Sequence[ApprovalPolicy]) -> None:
    """Insert new policies that somebody can decide for, under names that are free in the organization."""
    _check_satisfiable(policies)
    live = ApprovalPolicy.objects.filter(
        organization_id=policies[0].organization_id, name__in=[policy.name for policy in policies]
    )
    taken = set(live.filter(archived_at__isnull=True).values_list("name", flat=True))

    def check_name(place: int) -> None:
        name = policies[place].name
        if name in taken:
            raise _name_taken(name)
        taken.add(name)

    each(len(policies), check_name)
    try:
        ApprovalPolicy.objects.bulk_create(policies)
    except IntegrityError as error:  # another transaction took the name since we looked
        raise _name_taken(" or ".join(policy.name for policy in policies[:3])) from error


def _name_taken(name: str) -> NameTaken:
    return NameTaken(f"There is an approval policy {name} already.", field="name")


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
