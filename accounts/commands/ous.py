"""The tree: OUs are made and archived, never renamed or moved."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db.models import ForeignKey, Model
from django.utils import timezone

from accounts.actions import Action
from accounts.closures import enter_tree
from accounts.models import OU, PrincipalKind
from accounts.names import DisplayName, Name
from accounts.principals import enroll, retire
from accounts.queries import ou_for
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import Conflict, Invalid, NameTaken
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


def load_create(command: CreateOU, actor: Actor) -> Subject:
    parent = ou_for(actor, command.parent_id)
    path = f"{parent.path}{command.name}/"
    if path.count("/") > MAX_DEPTH + 1:
        raise Invalid(f"OUs nest at most {MAX_DEPTH} levels deep.", field="parent_id")
    return Subject(parent, Target("ou", command.id, command.name, parent.organization_id, path))


@handles(CreateOU, load=load_create, changes_access=True)
def create_ou(command: CreateOU, *, subject: Subject, actor: Actor) -> Change:
    parent: OU = subject.row
    if parent.children.filter(name=command.name, archived_at__isnull=True).exists():
        raise NameTaken(f"There is an OU {command.name} here already.", field="name")
    ou = OU.objects.create(
        id=command.id,
        organization_id=parent.organization_id,
        parent=parent,
        name=command.name,
        display_name=command.display_name,
        path=subject.target.ou_path,
    )
    enter_tree(ou)
    enroll(ou.id, kind=PrincipalKind.OU, organization_id=ou.organization_id, ref=f"ou:{ou.path.rstrip('/')}")
    return Change(ou, None, {"name": ou.name, "display_name": ou.display_name})


def load_ou(command: UpdateOU | ArchiveOU, actor: Actor) -> Subject:
    ou_for(actor, command.ou_id)
    ou = OU.objects.select_for_update().get(pk=command.ou_id)
    return Subject(ou, ou.target())


@handles(UpdateOU, load=load_ou)
def update_ou(command: UpdateOU, *, subject: Subject, actor: Actor) -> Change:
    ou: OU = subject.row
    before, ou.display_name = ou.display_name, command.display_name
    ou.save(update_fields=["display_name"])
    return Change(ou, {"display_name": before}, {"display_name": ou.display_name})


@handles(ArchiveOU, load=load_ou, changes_access=True)
def archive_ou(command: ArchiveOU, *, subject: Subject, actor: Actor) -> Change:
    ou: OU = subject.row
    if ou.parent_id is None:
        raise Conflict("The root OU lives as long as its organization.")
    if left := _inhabitants(ou):
        raise Conflict(f"{ou.path.rstrip('/')} still has {', '.join(left)}. Archive or move them first.", left=left)
    ou.archived_at = timezone.now()
    ou.save(update_fields=["archived_at"])
    ou.bindings.filter(ended_at__isnull=True).update(ended_at=ou.archived_at)
    retire(ou.id)
    return Change(ou, {"archived": False}, {"archived": True})


def _inhabitants(ou: OU) -> list[str]:
    """Return in words what lives in the OU: every model of any app that has an OU and can be archived, and its
    residents.
    """
    left = []
    for relation in OU._meta.related_objects:
        model = relation.related_model
        if isinstance(model, type) and _lives_somewhere(model, relation.field.name):
            count = model._default_manager.filter(**{relation.field.name: ou}, **_alive(model)).count()
            if count:
                left.append(f"{count} {model._meta.verbose_name_plural}")
    return left


def _lives_somewhere(model: type[Model], field: str) -> bool:
    if field == "home_ou":
        return True
    names = {found.name for found in model._meta.get_fields() if not isinstance(found, ForeignKey)}
    return field in {"ou", "parent"} and "archived_at" in names


def _alive(model: type[Model]) -> dict[str, bool]:
    has_archive = any(found.name == "archived_at" for found in model._meta.get_fields())
    return {"archived_at__isnull": True} if has_archive else {}
