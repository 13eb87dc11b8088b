"""Groups and who is in them: users, and other groups, without circles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from accounts import escalation
from accounts.actions import Action
from accounts.closures import refresh
from accounts.memberships import Memberships
from accounts.models import OU, Group, Membership, Principal, PrincipalKind
from accounts.names import Description, DisplayName, Name
from accounts.principals import enroll_all, retire
from accounts.queries import contents_of_many, groups_for_change, ous_for, principals_for
from powerloom.commands.naming import insert_named
from powerloom.commands.registry import Change, Command, Found, Subject, each, handles_all, subjects_in
from powerloom.kernel.errors import Invalid, NotFound
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


def load(commands: Sequence[UpdateGroup | ArchiveGroup], actor: Actor) -> list[Found]:
    ids = [command.group_id for command in commands]
    return subjects_in(groups_for_change(actor, ids), ids)


@handles_all(UpdateGroup, load=load)
def update_groups(commands: Sequence[UpdateGroup], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    changes = []
    for command, subject in zip(commands, subjects, strict=True):
        group: Group = subject.row
        before = _shown(group)
        if command.display_name is not None:
            group.display_name = command.display_name
        if "description" in command.model_fields_set:
            group.description = command.description
        changes.append(Change(group, before, _shown(group)))
    rows = {change.row.pk: change.row for change in changes}
    Group.objects.bulk_update(rows.values(), ["display_name", "description"])
    return changes


@handles_all(ArchiveGroup, load=load, changes_access=True)
def archive_groups(commands: Sequence[ArchiveGroup], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    def archive(places: Sequence[int]) -> list[Change]:
        return _archive([subjects[place].row for place in places], actor)

    ids = [subject.row.id for subject in subjects]
    return escalation.while_one_remains(actor.organization_id, len(commands), archive, once=lambda place: ids[place])


def _archive(groups: Sequence[Group], actor: Actor) -> list[Change]:
    ids = [group.id for group in groups]
    memberships = Memberships(actor, ids)
    left = each(len(groups), lambda place: memberships.end(groups[place]))
    now = timezone.now()
    for group in groups:
        group.archived_at = now
    Group.objects.bulk_update(groups, ["archived_at"])
    Membership.objects.filter(Q(group_id__in=ids) | Q(member_id__in=ids)).delete()
    retire(ids)
    refresh(set().union(*left))
    return [Change(group, {"archived": False}, {"archived": True}) for group in groups]


def load_adds(commands: Sequence[AddMember], actor: Actor) -> list[Found]:
    groups = groups_for_change(actor, [command.group_id for command in commands])
    members = principals_for(actor, [command.member_id for command in commands])
    contents = contents_of_many(members.values())
    found: list[Found] = []
    for command in commands:
        group, member = groups.get(command.group_id), members.get(command.member_id)
        if group is None or member is None:
            found.append(NotFound())
        else:
            found.append(Subject((group, member, contents[member.id]), group.target()))
    return found


@handles_all(AddMember, load=load_adds, changes_access=True)
def add_members(commands: Sequence[AddMember], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    def add(places: Sequence[int]) -> list[Change]:
        return _add([subjects[place] for place in places], actor)

    return escalation.while_one_remains(actor.organization_id, len(commands), add)


def _add(subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    pairs: list[tuple[Group, Principal]] = [subject.row[:2] for subject in subjects]
    memberships = Memberships(actor, {group.id for group, _ in pairs}, {member.id for _, member in pairs})

    def join(place: int) -> set[UUID]:
        group, member = pairs[place]
        if member.kind not in {PrincipalKind.USER, PrincipalKind.GROUP}:
            raise Invalid("A member is a user or a group.", field="member_id")
        return memberships.join(group, member)

    joined = each(len(pairs), join)
    new = {(group.id, member.id): None for group, member in pairs if (group.id, member.id) not in memberships.there}
    Membership.objects.bulk_create(Membership(group_id=group, member_id=member) for group, member in new)
    refresh(set().union(*joined))
    return [Change(group, None, {"added": member.ref}) for group, member in pairs]


def load_removes(commands: Sequence[RemoveMember], actor: Actor) -> list[Found]:
    groups = groups_for_change(actor, [command.group_id for command in commands])
    rows = Membership.objects.filter(group__in=groups, member__in=[command.member_id for command in commands])
    there = {(row.group_id, row.member_id): row for row in rows.select_related("member")}
    found: list[Found] = []
    for command in commands:
        membership = there.get((command.group_id, command.member_id))
        group = groups.get(command.group_id)
        found.append(Subject((group, membership), group.target()) if group and membership else NotFound())
    return found


@handles_all(RemoveMember, load=load_removes, changes_access=True)
def remove_members(commands: Sequence[RemoveMember], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    def remove(places: Sequence[int]) -> list[Change]:
        return _remove([subjects[place].row for place in places], actor)

    ids = [subject.row[1].pk for subject in subjects]
    return escalation.while_one_remains(actor.organization_id, len(commands), remove, once=lambda place: ids[place])


def _remove(pairs: Sequence[tuple[Group, Membership]], actor: Actor) -> list[Change]:
    memberships = Memberships(actor, {group.id for group, _ in pairs}, {row.member_id for _, row in pairs})
    left = each(len(pairs), lambda place: memberships.leave(pairs[place][0], pairs[place][1].member))
    Membership.objects.filter(pk__in=[row.pk for _, row in pairs]).delete()
    refresh(set().union(*left))
    return [Change(group, {"removed": row.member.ref}, None) for group, row in pairs]


def _shown(group: Group) -> dict[str, str | None]:
    return {"name": group.name, "display_name": group.display_name, "description": group.description}
