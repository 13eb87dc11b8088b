"""File roots: folders of this machine that an organization's deployments may serve. Granted on the server alone."""

from __future__ import annotations

from typing import Annotated, ClassVar
from uuid import UUID

from django.db import IntegrityError
from django.utils import timezone
from pydantic import Field

from accounts.models import OU
from agents.actions import Action
from agents.models import FileRoot
from agents.queries.roots import root_at
from agents.roots import LONGEST, fault_of
from powerloom.commands.registry import Change, Command, Subject, handles
from powerloom.kernel.errors import Invalid, NameTaken, NotFound
from powerloom.kernel.refs import Actor, Target


class GrantFileRoot(Command):
    """Let an organization's deployments serve a folder and what lies below it. `path` has no links in it."""

    action: ClassVar[str] = Action.FILE_ROOT_GRANT
    id: UUID
    organization_id: UUID
    path: Annotated[str, Field(max_length=LONGEST)]


class RevokeFileRoot(Command):
    """End that. Deployments that serve from there stop with their next call."""

    action: ClassVar[str] = Action.FILE_ROOT_REVOKE
    organization_id: UUID
    path: Annotated[str, Field(max_length=LONGEST)]


def load_grant(command: GrantFileRoot, actor: Actor) -> Subject:
    top = _top_for(actor, command.organization_id)
    return Subject(top, Target("file_root", command.id, command.path, top.organization_id, top.path))


@handles(GrantFileRoot, load=load_grant, holdable=False)
def grant_file_root(command: GrantFileRoot, *, subject: Subject, actor: Actor) -> Change:
    if fault := fault_of(command.path):
        raise Invalid(f"{command.path} {fault}.", field="path")
    taken = NameTaken(f"{command.path} is granted already.", field="path")
    if root_at(command.organization_id, command.path):
        raise taken
    try:
        root = FileRoot.objects.create(id=command.id, organization_id=command.organization_id, path=command.path)
    except IntegrityError as error:  # another transaction granted it since we looked
        raise taken from error
    return Change(root, None, {"path": root.path})


def load_revoke(command: RevokeFileRoot, actor: Actor) -> Subject:
    top = _top_for(actor, command.organization_id)
    root = root_at(command.organization_id, command.path)
    if root is None:
        raise NotFound
    return Subject(root, Target("file_root", root.id, root.path, root.organization_id, top.path))


@handles(RevokeFileRoot, load=load_revoke, holdable=False)
def revoke_file_root(command: RevokeFileRoot, *, subject: Subject, actor: Actor) -> Change:
    root: FileRoot = subject.row
    root.archived_at = timezone.now()
    root.save(update_fields=["archived_at"])
    return Change(root, {"path": root.path}, None)


def _top_for(actor: Actor, organization_id: UUID) -> OU:
    if actor.kind != "system":
        raise NotFound  # whatever somebody's role says: no tenant opens a folder of the machine
    top = OU.objects.filter(organization_id=organization_id, parent__isnull=True).first()
    if top is None:
        raise NotFound
    return top
