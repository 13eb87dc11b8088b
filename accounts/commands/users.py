"""People: made, renamed, moved, disabled and enabled. Never deleted: the audit names them."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone

from accounts import escalation, rbac
from accounts.actions import Action
from accounts.closures import refresh, speaks_as
from accounts.models import OU, AccessToken, OUClosure, PrincipalKind, User
from accounts.names import Email
from accounts.principals import enroll
from accounts.queries import ou_for, user_for_change
from powerloom.commands.registry import Change, Command, Need, Subject, handles
from powerloom.kernel.errors import NameTaken
from powerloom.kernel.refs import Actor, Target


class CreateUser(Command):
    """Make a person at home in an OU, with the rights that the OUs above give. It has no password yet."""

    action: ClassVar[str] = Action.USER_CREATE
    id: UUID
    email: Email
    name: str = ""
    home_ou_id: UUID


class UpdateUser(Command):
    """Change a person's name."""

    action: ClassVar[str] = Action.USER_UPDATE
    user_id: UUID
    name: str


class MoveUser(Command):
    """Give a person another home OU, and so the rights of the OUs above it."""

    action: ClassVar[str] = Action.USER_MOVE
    user_id: UUID
    home_ou_id: UUID


class DisableUser(Command):
    """End all of a person's sign-ins and tokens at once."""

    action: ClassVar[str] = Action.USER_DISABLE
    user_id: UUID


class EnableUser(Command):
    """Let a disabled person sign in again. Revoked tokens stay revoked."""

    action: ClassVar[str] = Action.USER_ENABLE
    user_id: UUID


def load_create(command: CreateUser, actor: Actor) -> Subject:
    home = ou_for(actor, command.home_ou_id)
    return Subject(home, Target("user", command.id, command.email, home.organization_id, home.path))


@handles(CreateUser, load=load_create, changes_access=True)
def create_user(command: CreateUser, *, subject: Subject, actor: Actor) -> Change:
    home: OU = subject.row
    escalation.require_held(actor, escalation.allows(rbac.grants_naming(_ous_above(home))))
    user = User(
        id=command.id,
        organization_id=home.organization_id,
        home_ou=home,
        email=command.email.lower(),
        name=command.name,
    )
    user.set_unusable_password()
    taken = NameTaken(f"{command.email} is somebody's already. An e-mail address belongs to one person.", field="email")
    if User.objects.filter(email__iexact=command.email).exists():
        raise taken
    try:
        user.save(force_insert=True)
    except IntegrityError as error:  # another transaction took the address since we looked
        raise taken from error
    enroll(user.id, kind=PrincipalKind.USER, organization_id=home.organization_id, ref=user.ref)
    return Change(user, None, {"email": user.email, "name": user.name, "home_ou_path": rbac.shown(home.path)})


def load_user(command: UpdateUser | DisableUser | EnableUser, actor: Actor) -> Subject:
    user = user_for_change(actor, command.user_id)
    return Subject(user, user.target())


@handles(UpdateUser, load=load_user)
def update_user(command: UpdateUser, *, subject: Subject, actor: Actor) -> Change:
    user: User = subject.row
    before, user.name = user.name, command.name
    user.save(update_fields=["name"])
    return Change(user, {"name": before}, {"name": user.name})


@handles(DisableUser, load=load_user, changes_access=True, holdable=False)
def disable_user(command: DisableUser, *, subject: Subject, actor: Actor) -> Change:
    user: User = subject.row
    escalation.refuse_disabling_upward(actor, user.id)
    before, user.is_active = user.is_active, False
    user.save(update_fields=["is_active"])
    refresh([user.id])
    AccessToken.objects.filter(principal_id=user.id, revoked_at__isnull=True).update(revoked_at=timezone.now())
    escalation.require_a_root_admin(user.organization_id)
    return Change(user, {"is_active": before}, {"is_active": False})


@handles(EnableUser, load=load_user, changes_access=True)
def enable_user(command: EnableUser, *, subject: Subject, actor: Actor) -> Change:
    user: User = subject.row
    if not user.is_active:
        escalation.require_held(actor, escalation.allows(rbac.grants_naming(speaks_as([user.id])[user.id])))
    before, user.is_active = user.is_active, True
    user.save(update_fields=["is_active"])
    refresh([user.id])
    return Change(user, {"is_active": before}, {"is_active": True})


def load_move(command: MoveUser, actor: Actor) -> Subject:
    user, home = user_for_change(actor, command.user_id), ou_for(actor, command.home_ou_id)
    # It must be allowed where the person comes from and where it goes.
    arrival = Need(Action.USER_MOVE, Target("ou", home.id, home.name, home.organization_id, home.path))
    return Subject((user, home), user.target(), needs=(arrival,))


@handles(MoveUser, load=load_move, changes_access=True)
def move_user(command: MoveUser, *, subject: Subject, actor: Actor) -> Change:
    user, home = subject.row
    _check_move(actor, user, home)
    before, user.home_ou = user.home_ou, home
    user.save(update_fields=["home_ou"])
    refresh([user.id])
    escalation.require_a_root_admin(home.organization_id)
    was = rbac.shown(before.path) if before else None
    return Change(user, {"home_ou_path": was}, {"home_ou_path": rbac.shown(home.path)})


def _check_move(actor: Actor, user: User, home: OU) -> None:
    """Whoever moves gets what the new OUs are given, and is freed from what the old ones are denied."""
    new, old = set(_ous_above(home)), set(_ous_above(user.home_ou)) if user.home_ou else set()
    gained, lost = rbac.grants_naming(new - old), rbac.grants_naming(old - new)
    escalation.require_held(actor, [*escalation.allows(gained), *escalation.denials(lost)])
    if user.id == actor.principal_id:
        escalation.refuse_freeing_oneself(actor, [grant.binding_id for grant in lost if not grant.allows])
    escalation.refuse_denying_upward(actor, reached=[user.id], denied=escalation.denials(gained))


def _ous_above(ou: OU) -> list[UUID]:
    return list(OUClosure.objects.filter(descendant=ou).values_list("ancestor_id", flat=True))
