"""Bindings: a role for a principal at an OU, to allow or to deny, perhaps until a moment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar  # Any: JSON for the audit entry
from uuid import UUID

from django.utils import timezone

from accounts import escalation, rbac
from accounts.actions import Action
from accounts.closures import reached_by_each
from accounts.escalation import Given, Widening
from accounts.expiry import in_place_of
from accounts.granters import Granters, actions_of
from accounts.models import OU, Binding, DecisionType, Principal, Role
from accounts.names import Moment
from accounts.queries import bindings_for_change, contents_of_many, ous_for, principals_for, roles_for
from powerloom.commands.registry import Change, Command, Found, Subject, each, handles_all, subjects_in
from powerloom.kernel.errors import Invalid, NotFound
from powerloom.kernel.refs import Actor, Target


class CreateBinding(Command):
    """Bind a role to a principal at an OU and all below. The same live binding again: nothing changes."""

    action: ClassVar[str] = Action.ROLE_BINDING_CREATE
    id: UUID
    principal_id: UUID
    role_id: UUID
    scope_ou_id: UUID
    decision_type: DecisionType = DecisionType.ALLOW
    expires_at: Moment | None = None


class DeleteBinding(Command):
    """End a binding."""

    action: ClassVar[str] = Action.ROLE_BINDING_DELETE
    binding_id: UUID


def load_creates(commands: Sequence[CreateBinding], actor: Actor) -> list[Found]:
    scopes = ous_for(actor, [command.scope_ou_id for command in commands])
    principals = principals_for(actor, [command.principal_id for command in commands])
    roles = roles_for(actor, [command.role_id for command in commands])
    contents = contents_of_many([*principals.values(), *roles.values()])
    found: list[Found] = []
    for command in commands:
        scope, role = scopes.get(command.scope_ou_id), roles.get(command.role_id)
        principal = principals.get(command.principal_id)
        if scope is None or principal is None or role is None:
            found.append(NotFound())
        else:
            target = Target("role_binding", command.id, role.name, scope.organization_id, scope.path)
            inside = [*contents[principal.id], *contents[role.id]]
            found.append(Subject((principal, role, scope, inside), target))
    return found


@handles_all(CreateBinding, load=load_creates, changes_access=True)
def create_bindings(commands: Sequence[CreateBinding], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    def create(places: Sequence[int]) -> list[Change]:
        return _created([commands[place] for place in places], [subjects[place] for place in places], actor)

    def denies(place: int) -> bool:
        return _denies(commands[place])

    if not any(map(denies, range(len(commands)))):
        return create(range(len(commands)))
    return escalation.while_one_remains(actor.organization_id, len(commands), create, takes=denies)


def _created(commands: Sequence[CreateBinding], subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    creating = Creating(commands, subjects, actor)
    changes = each(len(commands), lambda place: creating.create(commands[place], *subjects[place].row[:3]))
    creating.write()
    return changes


class Creating:
    """Bindings that are to be made and are judged one after the other.

    Among those that allow none adds to what its giver may give, for nobody gives what he does not hold. With one that
    denies among them, each counts for those after it.
    """

    def __init__(self, commands: Sequence[CreateBinding], subjects: Sequence[Subject], actor: Actor) -> None:
        self._actor = actor
        self._now = timezone.now()
        self._held = rbac.grants(actor)
        self._granters = Granters(actor.organization_id)
        self._there = _live_among(subjects)
        self._new: list[Binding] = []
        self._over: list[Binding] = []
        denied = {subject.row[0].id for command, subject in zip(commands, subjects, strict=True) if _denies(command)}
        self._reached = reached_by_each(denied) if denied else {}
        himself = {actor.principal_id} if actor.principal_id else set()
        self._given = Given.to(himself.union(*self._reached.values())) if denied else None
        self._mine = set().union(*(self._given.speaking[one] for one in himself)) if self._given else set()

    def create(self, command: CreateBinding, principal: Principal, role: Role, scope: OU) -> Change:
        """Make one, unless it is there. Raises `Denied` for what the actor may not give or deny, and `Invalid`."""
        if command.expires_at is not None and command.expires_at <= self._now:
            raise Invalid("A binding expires in the future.", field="expires_at")
        said = Widening(actions_of(role), scope.path, until=command.expires_at)
        if _denies(command):
            who = self._reached[principal.id]
            escalation.refuse_denying_upward(
                self._actor, reached=who, denied=[said], held=self._held, given=self._given, granters=self._granters
            )
        else:
            escalation.require_held(self._actor, [said], self._held, granters=self._granters)
        key = (principal.id, role.id, scope.id, command.decision_type)
        binding = self._there.get(key)
        ended = {}
        if binding and binding.expires_at is not None and binding.expires_at <= self._now:
            self._over.append(binding)
            ended, binding = in_place_of([binding]), None
        if binding is None:
            binding = self._there[key] = _new(command, principal, role, scope)
            self._new.append(binding)
            self._note(rbac.grant_of(binding, said.actions), principal)
        return Change(binding, None, _shown(binding) | ended)

    def write(self) -> None:
        """Write them, and end the expired ones in whose place they come."""
        if self._over:
            Binding.objects.filter(pk__in=[one.pk for one in self._over]).update(ended_at=self._now)
        Binding.objects.bulk_create(self._new)

    def _note(self, grant: rbac.Grant, principal: Principal) -> None:
        if self._given:
            self._given.note(principal.id, grant)
            if principal.id in self._mine:
                self._held.append(grant)


def _denies(command: CreateBinding) -> bool:
    return command.decision_type == DecisionType.DENY


def _live_among(subjects: Sequence[Subject]) -> dict[tuple[UUID, UUID, UUID, str], Binding]:
    """Return the bindings that say some of the same and were not ended, by principal, role, scope and decision."""
    rows = Binding.objects.filter(
        principal__in={subject.row[0].id for subject in subjects},
        role__in={subject.row[1].id for subject in subjects},
        scope_ou__in={subject.row[2].id for subject in subjects},
        resource_id__isnull=True,
        ended_at__isnull=True,
    )
    found = rows.select_related("principal", "role", "scope_ou")
    return {(one.principal_id, one.role_id, one.scope_ou_id, one.decision_type): one for one in found}


def _new(command: CreateBinding, principal: Principal, role: Role, scope: OU) -> Binding:
    return Binding(
        id=command.id,
        organization_id=scope.organization_id,
        principal=principal,
        role=role,
        scope_ou=scope,
        decision_type=command.decision_type,
        expires_at=command.expires_at,
    )


def load_deletes(commands: Sequence[DeleteBinding], actor: Actor) -> list[Found]:
    ids = [command.binding_id for command in commands]
    return subjects_in(bindings_for_change(actor, ids), ids)


@handles_all(DeleteBinding, load=load_deletes, changes_access=True)
def delete_bindings(commands: Sequence[DeleteBinding], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    bindings: list[Binding] = [subject.row for subject in subjects]

    def delete(places: Sequence[int]) -> list[Change]:
        return _ended([bindings[place] for place in places], actor)

    def allows(place: int) -> bool:
        return bindings[place].decision_type == DecisionType.ALLOW

    def once(place: int) -> UUID:
        return bindings[place].id

    return escalation.while_one_remains(actor.organization_id, len(commands), delete, takes=allows, once=once)


def _ended(bindings: Sequence[Binding], actor: Actor) -> list[Change]:
    """End bindings that are judged one after the other: what the actor held through one, he gives back no more."""
    denies = [binding.id for binding in bindings if binding.decision_type == DecisionType.DENY]
    held, his = rbac.grants(actor), escalation.reaching(actor, denies)
    granters = Granters(actor.organization_id)

    def end(place: int) -> Change:
        binding = bindings[place]
        is_allow = binding.decision_type == DecisionType.ALLOW
        if is_allow:
            held[:] = [grant for grant in held if grant.binding_id != binding.id]
        else:
            freed = Widening(
                actions_of(binding.role), binding.scope_ou.path, binding.resource_id, until=binding.expires_at
            )
            escalation.require_held(actor, [freed], held, granters=granters)
            if binding.id in his:
                escalation.refuse_freeing_oneself(actor, [binding.id])
        return Change(binding, _shown(binding), None, only_revokes=is_allow)

    changes = each(len(bindings), end)
    now = timezone.now()
    for binding in bindings:
        binding.ended_at = now
    Binding.objects.bulk_update(bindings, ["ended_at"])
    return changes


def _shown(binding: Binding) -> dict[str, Any]:
    return {
        "principal_ref": binding.principal.ref,
        "role": binding.role.name,
        "scope_ou_path": binding.scope_ou.path,
        "decision_type": binding.decision_type,
        "expires_at": binding.expires_at.isoformat() if binding.expires_at else None,
    }
