"""Founding an organization: only on the server, never over the API."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from accounts.actions import Action
from accounts.closures import enter_tree
from accounts.models import OU, AccessEpoch, Binding, DecisionType, Organization, PrincipalKind, Role, User
from accounts.names import DisplayName, Email, Name
from accounts.principals import enroll
from accounts.roles import ORG_ADMIN, builtin_id
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import NameTaken
from powerloom.kernel.refs import Actor, Target


class CreateOrganization(Command):
    """Make an organization, its root OU, and its first OrgAdmin, who has no password yet."""

    action: ClassVar[str] = Action.ORGANIZATION_CREATE
    id: UUID
    name: Name
    display_name: DisplayName
    root_ou_id: UUID
    admin_id: UUID
    admin_email: Email


def load_create(command: CreateOrganization, actor: Actor) -> Subject:
    if Organization.objects.filter(name=command.name).exists():
        raise NameTaken(f"There is an organization {command.name} already.", field="name")
    if User.objects.filter(email__iexact=command.admin_email).exists():
        raise NameTaken(f"{command.admin_email} belongs to an organization already.", field="admin_email")
    return Subject(None, Target("organization", command.id, command.name, command.id, f"/{command.name}/"))


@handles(CreateOrganization, load=load_create, holdable=False)
def create_organization(command: CreateOrganization, *, subject: Subject, actor: Actor) -> Change:
    organization = Organization.objects.create(id=command.id, name=command.name, display_name=command.display_name)
    AccessEpoch.objects.create(organization=organization)
    root = OU.objects.create(
        id=command.root_ou_id,
        organization=organization,
        name=command.name,
        display_name=command.display_name,
        path=f"/{command.name}/",
    )
    enter_tree(root)
    enroll(root.id, kind=PrincipalKind.OU, organization_id=organization.id, ref=f"ou:/{command.name}")
    _first_admin(command, root)
    return Change(organization, None, {"name": command.name, "admin": command.admin_email})


def _first_admin(command: CreateOrganization, root: OU) -> None:
    admin = User(id=command.admin_id, organization_id=command.id, home_ou=root, email=command.admin_email)
    admin.set_unusable_password()
    admin.save(force_insert=True)
    enroll(admin.id, kind=PrincipalKind.USER, organization_id=command.id, ref=admin.ref)
    Binding.objects.create(
        organization_id=command.id,
        principal_id=admin.id,
        role=Role.objects.get(pk=builtin_id(ORG_ADMIN)),
        scope_ou=root,
        decision_type=DecisionType.ALLOW,
    )
