"""Custom roles: actions named one by one. The built-in ten cannot be changed."""

from __future__ import annotations

from typing import Annotated, ClassVar
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from pydantic import AfterValidator, Field

from accounts import closures, escalation, rbac
from accounts.actions import Action
from accounts.escalation import Widening
from accounts.models import Binding, Role, RoleAction
from accounts.names import RoleName
from accounts.queries import contents_of, organization_of, role_for
from accounts.roles import ROLES, known_actions
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import Conflict, NameTaken
from powerloom.kernel.refs import Actor, Target


def _known(actions: list[str]) -> list[str]:
    if unknown := sorted(set(actions) - known_actions()):
        raise ValueError(f"there is no action {', '.join(unknown)}")
    return sorted(set(actions))


Actions = Annotated[list[str], Field(min_length=1, max_length=500), AfterValidator(_known)]
Text = Annotated[str, Field(max_length=1024)]


class CreateRole(Command):
    """Make a role for this organization."""

    action: ClassVar[str] = Action.ROLE_CREATE
    id: UUID
    name: RoleName
    description: Text = ""
    actions: Actions


class UpdateRole(Command):
    """Change what is named of a custom role; its holders gain and lose at once."""

    action: ClassVar[str] = Action.ROLE_UPDATE
    role_id: UUID
    description: Text | None = None
    actions: Actions | None = None


class ArchiveRole(Command):
    """End a custom role that nothing binds any more."""

    action: ClassVar[str] = Action.ROLE_ARCHIVE
    role_id: UUID


def load_create(command: CreateRole, actor: Actor) -> Subject:
    organization = organization_of(actor)
    target = Target("role", command.id, command.name, organization.id, f"/{organization.name}/")
    return Subject(organization, target)


@handles(CreateRole, load=load_create, changes_access=True)
def create_role(command: CreateRole, *, subject: Subject, actor: Actor) -> Change:
    live = Role.objects.filter(organization=subject.row, name=command.name, archived_at__isnull=True)
    if command.name in ROLES or live.exists():
        raise NameTaken(f"There is a role {command.name} already.", field="name")
    role = Role.objects.create(
        id=command.id, organization=subject.row, name=command.name, description=command.description
    )
    _add(role, command.actions)
    return Change(role, None, {"name": role.name, "actions": command.actions})


def load_update(command: UpdateRole, actor: Actor) -> Subject:
    subject = _locked(actor, command.role_id)
    return Subject((subject.row, contents_of(subject.row)), subject.target)


@handles(UpdateRole, load=load_update, changes_access=True)
def update_role(command: UpdateRole, *, subject: Subject, actor: Actor) -> Change:
    role: Role = subject.row[0]
    before = {"description": role.description, "actions": _actions(role)}
    if command.description is not None:
        role.description = command.description
        role.save(update_fields=["description"])
    if command.actions is not None:
        _check_edit(actor, role, frozenset(command.actions))
        role.role_actions.all().delete()
        _add(role, command.actions)
        escalation.require_a_root_admin(subject.target.organization_id)
    return Change(role, before, {"description": role.description, "actions": _actions(role)})


def load_archive(command: ArchiveRole, actor: Actor) -> Subject:
    return _locked(actor, command.role_id)


@handles(ArchiveRole, load=load_archive, changes_access=True)
def archive_role(command: ArchiveRole, *, subject: Subject, actor: Actor) -> Change:
    role: Role = subject.row
    unexpired = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    if bound := role.bindings.filter(unexpired, ended_at__isnull=True).count():
        raise Conflict(f"{role.name} is still bound {bound} times. End these bindings first.", bindings=bound)
    role.archived_at = timezone.now()
    role.save(update_fields=["archived_at"])
    return Change(role, {"archived": False}, {"archived": True})


def _check_edit(actor: Actor, role: Role, wanted: frozenset[str]) -> None:
    """What is added widens every allow of the role; what is removed ends that much of every deny, and the other way
    round.
    """
    now, grants = frozenset(_actions(role)), rbac.grants_through(role.id)
    denies = [grant for grant in grants if not grant.allows]
    widened = []
    for grant in grants:
        added = wanted - now if grant.allows else now - wanted
        widened.append(Widening(added, grant.scope_path, grant.resource_id, grant.expires_at))
    escalation.require_held(actor, widened)
    if now - wanted:
        escalation.refuse_freeing_oneself(actor, [grant.binding_id for grant in denies])
    harder = [Widening(wanted - now, grant.scope_path, grant.resource_id) for grant in denies]
    named = Binding.objects.filter(id__in=[grant.binding_id for grant in denies]).values_list("principal_id", flat=True)
    escalation.refuse_denying_upward(actor, reached=closures.reached_by(named), denied=harder)


def _locked(actor: Actor, role_id: UUID) -> Subject:
    role = role_for(actor, role_id)
    if role.organization is None:
        raise Conflict(f"{role.name} is built in. Make a custom role instead.")
    row = Role.objects.select_for_update().get(pk=role.pk)
    return Subject(row, Target("role", row.id, row.name, row.organization_id, f"/{role.organization.name}/"))


def _add(role: Role, actions: list[str]) -> None:
    RoleAction.objects.bulk_create([RoleAction(role=role, action=action) for action in actions])


def _actions(role: Role) -> list[str]:
    return sorted(role.role_actions.values_list("action", flat=True))
