"""The tree: OUs are made and archived, never renamed or moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from django.db.models import ForeignKey, Model
from django.utils import timezone

from accounts.actions import Action
from accounts.closures import enter_tree
from accounts.models import OU, Binding, Principal, PrincipalKind
from accounts.names import DisplayName, Name
from accounts.principals import enroll_all, retire
from accounts.queries import ous_for, ous_for_change
from powerloom.commands.naming import insert_named
from powerloom.commands.registry import Change, Command, Found, Subject, each, handles_all, subjects_in
from powerloom.kernel.errors import Conflict, Invalid, NotFound
from powerloom.kernel.refs import Actor, Target

MAX_DEPTH = 32  # levels; paths stay readable and closures small


class CreateOU(Command):
    """Make an OU below another."""

    action: ClassVar[str] = Action.OU_CREATE
    id: UUID
    parent_id: UUID
    name: Name
    display_name: DisplayName


class UpdateOU(Command):
    """Change the name that people read; the one in paths never changes."""

    action: ClassVar[str] = Action.OU_UPDATE
    ou_id: UUID
    display_name: DisplayName


class ArchiveOU(Command):
    """Take an empty OU out of the tree. Its name becomes free."""

    action: ClassVar[str] = Action.OU_ARCHIVE
    ou_id: UUID


def load_creates(commands: Sequence[CreateOU], actor: Actor) -> list[Found]:
    """One may lie in another that the same list makes, if that stands before it."""
    known = ous_for(actor, [command.parent_id for command in commands])
    found: list[Found] = []
    for command in commands:
        parent = known.get(command.parent_id)
        if parent is None:
            found.append(NotFound())
            continue
        path = f"{parent.path}{command.name}/"
        if path.count("/") > MAX_DEPTH + 1:
            found.append(Invalid(f"OUs nest at most {MAX_DEPTH} levels deep.", field="parent_id"))
            continue
        known[command.id] = _new(command, parent, path)
        target = Target("ou", command.id, command.name, parent.organization_id, path)
        found.append(Subject((parent, Making(known[command.id])), target))
    return found


@dataclass(frozen=True)
class Making:
    """An OU that is yet to be made. Not a row of the set: nobody saw it before."""

    ou: OU


@handles_all(CreateOU, load=load_creates, changes_access=True)
def create_ous(commands: Sequence[CreateOU], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    ous: list[OU] = [subject.row[1].ou for subject in subjects]
    insert_named(OU, ous, what="an OU", place="parent_id")
    enter_tree(*ous)
    enroll_all(
        [
            Principal(
                id=ou.id, kind=PrincipalKind.OU, organization_id=ou.organization_id, ref=f"ou:{ou.path.rstrip('/')}"
            )
            for ou in ous
        ]
    )
    return [Change(ou, None, {"name": ou.name, "display_name": ou.display_name}) for ou in ous]


def _new(command: CreateOU, parent: OU, path: str) -> OU:
    return OU(
        id=command.id,
        organization_id=parent.organization_id,
        parent=parent,
        name=command.name,
        display_name=command.display_name,
        path=path,
    )


def load(commands: Sequence[UpdateOU | ArchiveOU], actor: Actor) -> list[Found]:
    ids = [command.ou_id for command in commands]
    return subjects_in(ous_for_change(actor, ids), ids)


@handles_all(UpdateOU, load=load)
def update_ous(commands: Sequence[UpdateOU], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    changes = []
    for command, subject in zip(commands, subjects, strict=True):
        ou: OU = subject.row
        before, ou.display_name = ou.display_name, command.display_name
        changes.append(Change(ou, {"display_name": before}, {"display_name": ou.display_name}))
    OU.objects.bulk_update({change.row.pk: change.row for change in changes}.values(), ["display_name"])
    return changes


@handles_all(ArchiveOU, load=load, changes_access=True)
def archive_ous(commands: Sequence[ArchiveOU], *, subjects: Sequence[Subject], actor: Actor) -> list[Change]:
    """One may be archived after those in it that the same list archives before it."""
    ous: list[OU] = [subject.row for subject in subjects]
    living = _inhabitants(ous)
    gone: set[UUID] = set()

    def archive(place: int) -> Change:
        ou = ous[place]
        if ou.parent_id is None:
            raise Conflict("The root OU lives as long as its organization.")
        counted = [(model, len(ids - gone)) for model, ids in living.get(ou.id, {}).items()]
        left = [f"{count} {model._meta.verbose_name_plural}" for model, count in counted if count]
        if left:
            raise Conflict(f"{ou.path.rstrip('/')} still has {', '.join(left)}. Archive or move them first.", left=left)
        gone.add(ou.id)
        return Change(ou, {"archived": False}, {"archived": True})

    changes = each(len(ous), archive, once=lambda place: ous[place].id)
    now = timezone.now()
    for ou in ous:
        ou.archived_at = now
    OU.objects.bulk_update(ous, ["archived_at"])
    Binding.objects.filter(scope_ou__in=ous, ended_at__isnull=True).update(ended_at=now)
    retire([ou.id for ou in ous])
    return changes


def _inhabitants(ous: Sequence[OU]) -> dict[UUID, dict[type[Model], set[UUID]]]:
    """Return what lives in each of the OUs, ids by model: of every model of any app that has an OU and can be archived,
    and residents; a query for each of these.
    """
    found: dict[UUID, dict[type[Model], set[UUID]]] = {}
    for relation in OU._meta.related_objects:
        model, field = relation.related_model, relation.field.name
        if isinstance(model, type) and _lives_somewhere(model, field):
            rows = model._default_manager.filter(**{f"{field}__in": ous}, **_alive(model))
            for ou_id, id_ in rows.values_list(field, "pk"):
                found.setdefault(ou_id, {}).setdefault(model, set()).add(id_)
    return found


def _lives_somewhere(model: type[Model], field: str) -> bool:
    if field == "home_ou":
        return True
    names = {found.name for found in model._meta.get_fields() if not isinstance(found, ForeignKey)}
    return field in {"ou", "parent"} and "archived_at" in names


def _alive(model: type[Model]) -> dict[str, bool]:
    has_archive = any(found.name == "archived_at" for found in model._meta.get_fields())
    return {"archived_at__isnull": True} if has_archive else {}
