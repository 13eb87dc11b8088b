"""Groups and who is in them: users, and other groups, without circles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from django.utils import timezone

from accounts import escalation, rbac
from accounts.actions import Action
from accounts.closures import groups_above, refresh, users_within
from accounts.models import OU, Group, Membership, Principal, PrincipalKind
from accounts.names import Description, DisplayName, Name
from accounts.principals import enroll_all, retire
from accounts.queries import contents_of, group_for, ous_for, principal_for
from powerloom.commands.naming import insert_named
from powerloom.commands.registry import Change, Command, Found, Subject, handles, handles_all
from powerloom.kernel.errors import Conflict, Invalid, NotFound
from powerloom.kernel.refs import Actor, Target


class CreateGroup(Command):
    """Make an empty group in an OU."""

    action: ClassVar[str] = Action.GROUP_CREATE
    id: UUID
    ou_id: UUID
    name: Name
    display_name: DisplayName
    description: Description | None = None


class UpdateGroup(Command):
    """Change what is named of a group; what is not named stays."""

    action: ClassVar[str] = Action.GROUP_UPDATE
    group_id: UUID
    display_name: DisplayName | None = None
    description: Description | None = None


class ArchiveGroup(Command):
    """End a group: its members leave it and its bindings end."""

    action: ClassVar[str] = Action.GROUP_ARCHIVE
    group_id: UUID


class AddMember(Command):
    """Put a user or a group into a group, with all the rights this brings. Already a member: nothing changes."""

    action: ClassVar[str] = Action.GROUP_ADD_MEMBER
    group_id: UUID
    member_id: UUID


class RemoveMember(Command):
    """Take a direct member out of a group."""

    action: ClassVar[str] = Action.GROUP_REMOVE_MEMBER
    group_id: UUID
    member_id: UUID


def load_creates(commands: Sequence[CreateGroup], actor: Actor) -> list[Found]:
    ous = ous_for(actor, [command.ou_id for command in commands])
    return [_to_make(command, ous.get(command.ou_id)) for command in commands]


def _to_make(command: CreateGroup, ou: OU | None) -> Found:
    if ou is None:
        return NotFound()
    return Subject(ou, Target("group", command.id, command.name, ou.organization_id, ou.path))


@handles_all(CreateGroup, load=load_creates, changes_access=True)
def create_groups(commands: Sequence[CreateGroup], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    groups = [
        Group(
            id=command.id,
            organization_id=subject.row.organization_id,
            ou=subject.row,
            name=command.name,
            display_name=command.display_name,
            description=command.description,
        )
        for command, subject in zip(commands, subjects, strict=True)
    ]
    insert_named(Group, groups, what="a group")
    enroll_all(
        [
            Principal(id=one.id, kind=PrincipalKind.GROUP, organization_id=one.organization_id, ref=one.ref)
            for one in groups
        ]
    )
    return [Change(group, None, _shown(group)) for group in groups]


def load_group(command: UpdateGroup, actor: Actor) -> Subject:
    return _locked(actor, command.group_id)


@handles(UpdateGroup, load=load_group)
def update_group(command: UpdateGroup, *, subject: Subject, actor: Actor) -> Change:
    group: Group = subject.row
    before = _shown(group)
    if command.display_name is not None:
        group.display_name = command.display_name
    if "description" in command.model_fields_set:
        group.description = command.description
    group.save(update_fields=["display_name", "description"])
    return Change(group, before, _shown(group))


def load_archive(command: ArchiveGroup, actor: Actor) -> Subject:
    return _locked(actor, command.group_id)


@handles(ArchiveGroup, load=load_archive, changes_access=True)
def archive_group(command: ArchiveGroup, *, subject: Subject, actor: Actor) -> Change:
    group: Group = subject.row
    users = users_within(group.id)
    _check_leaving(actor, group, users)
    group.archived_at = timezone.now()
    group.save(update_fields=["archived_at"])
    group.memberships.all().delete()
    Membership.objects.filter(member_id=group.id).delete()
    retire(group.id)
    refresh(users)
    escalation.require_a_root_admin(group.organization_id)
    return Change(group, {"archived": False}, {"archived": True})


def load_add(command: AddMember, actor: Actor) -> Subject:
    subject = _locked(actor, command.group_id)
    member = principal_for(actor, command.member_id)
    if member.kind not in {PrincipalKind.USER, PrincipalKind.GROUP}:
        raise Invalid("A member is a user or a group.", field="member_id")
    return Subject((subject.row, member, contents_of(member)), subject.target)


@handles(AddMember, load=load_add, changes_access=True)
def add_member(command: AddMember, *, subject: Subject, actor: Actor) -> Change:
    group, member, _ = subject.row
    _check_joining(actor, group, member)
    Membership.objects.get_or_create(group=group, member=member)
    refresh(users_within(member.id))
    escalation.require_a_root_admin(group.organization_id)
    return Change(group, None, {"added": member.ref})


def load_remove(command: RemoveMember, actor: Actor) -> Subject:
    subject = _locked(actor, command.group_id)
    membership = Membership.objects.filter(group=subject.row, member_id=command.member_id).select_related("member")
    found = membership.first()
    if found is None:
        raise NotFound
    return Subject((subject.row, found), subject.target)


@handles(RemoveMember, load=load_remove, changes_access=True)
def remove_member(command: RemoveMember, *, subject: Subject, actor: Actor) -> Change:
    group, membership = subject.row
    ref = membership.member.ref
    users = users_within(membership.member_id)
    _check_leaving(actor, group, users)
    membership.delete()
    refresh(users)
    escalation.require_a_root_admin(group.organization_id)
    return Change(group, {"removed": ref}, None)


def _check_joining(actor: Actor, group: Group, member: Principal) -> None:
    """Whoever joins a group gets what it and the groups above it are given, and what they are denied."""
    above = _with_above(group)
    if member.id in above:
        raise Conflict(f"{member.ref} is this group or holds it: groups do not go in circles.")
    reached = rbac.grants_naming(above)
    escalation.require_held(actor, escalation.allows(reached))
    escalation.refuse_denying_upward(actor, reached=users_within(member.id), denied=escalation.denials(reached))


def _check_leaving(actor: Actor, group: Group, users: list[UUID]) -> None:
    """Whoever leaves a group is freed from its denies."""
    ended = [grant for grant in rbac.grants_naming(_with_above(group)) if not grant.allows]
    escalation.require_held(actor, escalation.denials(ended))
    if actor.principal_id in users:
        escalation.refuse_freeing_oneself(actor, [grant.binding_id for grant in ended])


def _with_above(group: Group) -> set[UUID]:
    return {group.id, *groups_above([group.id])[group.id]}


def _locked(actor: Actor, group_id: UUID) -> Subject:
    group_for(actor, group_id)
    group = Group.objects.select_for_update(of=("self",)).select_related("ou").get(pk=group_id)
    return Subject(group, group.target())


def _shown(group: Group) -> dict[str, str | None]:
    return {"name": group.name, "display_name": group.display_name, "description": group.description}
