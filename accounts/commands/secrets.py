"""Secrets: kept, rotated, destroyed. A command carries the id of a value that the edge sealed, never the value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar  # Any: fields of a command
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError
from django.utils import timezone
from django.utils.module_loading import import_string
from pydantic import Field

from accounts import queries, rbac, sealing
from accounts.actions import Action
from accounts.models import OU, Sealed, Secret
from accounts.names import Description
from powerloom.commands.registry import Change, Command, Need, Subject, handles
from powerloom.kernel.errors import NameTaken
from powerloom.kernel.keys import keyed_hash
from powerloom.kernel.refs import Actor, Target

SecretName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")]
SecretKind = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]

SEALED = "secret"  # the kind of sealed row that a secret takes, whatever its own kind


class NewValue(Command):
    """Base of what brings a value.

    `fingerprint` is its keyed hash: each sealed row has an id of its own, and this tells the same asked again from
    another.
    """

    sealed_id: UUID
    fingerprint: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""

    def minted_values(self) -> list[str]:
        minted = super().minted_values()
        return minted if self.fingerprint else [value for value in minted if value != str(self.sealed_id)]


def sealed_value(organization_id: UUID, plain: str) -> dict[str, Any]:
    """Seal a value at the edge; return what a command carries of it: the id of its sealed row, and what tells it from
    another.
    """
    sealed_id = sealing.seal(plain, kind=SEALED, organization_id=organization_id)
    return {"sealed_id": sealed_id, "fingerprint": keyed_hash("secret_value", f"{organization_id}{plain}")}


class CreateSecret(NewValue):
    """Keep a value under a name, for what its kind says, in an OU and all below."""

    action: ClassVar[str] = Action.SECRET_CREATE
    id: UUID
    ou_id: UUID
    name: SecretName
    kind: SecretKind
    description: Description = ""


class RotateSecret(NewValue):
    """Replace a secret's value; the earlier one is destroyed."""

    action: ClassVar[str] = Action.SECRET_ROTATE
    secret_id: UUID


class DeleteSecret(Command):
    """Destroy a secret's value for good. Its row stays for the record, its name becomes free."""

    action: ClassVar[str] = Action.SECRET_DELETE
    secret_id: UUID


def load_create(command: CreateSecret, actor: Actor) -> Subject:
    ou = queries.ou_for(actor, command.ou_id)
    sealed = sealing.waiting(command.sealed_id, kind=SEALED, organization_id=actor.organization_id)
    target = Target("secret", command.id, command.name, ou.organization_id, ou.path)
    return Subject((ou, sealed), target, needs=_needs(target))  # it may be nearer than another of its name


@handles(CreateSecret, load=load_create)
def create_secret(command: CreateSecret, *, subject: Subject, actor: Actor) -> Change:
    ou, sealed = subject.row
    secret = Secret(
        id=command.id,
        organization_id=ou.organization_id,
        ou=ou,
        name=command.name,
        kind=command.kind,
        description=command.description,
        sealed=sealing.take(sealed),
    )
    _insert(secret, ou)
    return Change(secret, None, _described(secret))


def load_rotate(command: RotateSecret, actor: Actor) -> Subject:
    secret = queries.secret_for_change(actor, command.secret_id)
    sealed = sealing.waiting(command.sealed_id, kind=SEALED, organization_id=actor.organization_id)
    return Subject((secret, sealed), secret.target(), needs=_needs(secret.target()))


@handles(RotateSecret, load=load_rotate)
def rotate_secret(command: RotateSecret, *, subject: Subject, actor: Actor) -> Change:
    secret, sealed = subject.row
    before, old = _described(secret), secret.sealed
    secret.sealed, secret.version, secret.rotated_at = sealing.take(sealed), secret.version + 1, timezone.now()
    secret.save(update_fields=["sealed", "version", "rotated_at"])
    _destroy(old)
    return Change(secret, before, _described(secret))


def load_delete(command: DeleteSecret, actor: Actor) -> Subject:
    secret = queries.secret_for_change(actor, command.secret_id)
    return Subject(secret, secret.target(), needs=_needs(secret.target()))


@handles(DeleteSecret, load=load_delete)
def delete_secret(command: DeleteSecret, *, subject: Subject, actor: Actor) -> Change:
    secret: Secret = subject.row
    old, secret.sealed, secret.archived_at = secret.sealed, None, timezone.now()
    secret.save(update_fields=["sealed", "archived_at"])
    _destroy(old)
    return Change(secret, _described(secret), None)


def _needs(secret: Target) -> tuple[Need, ...]:
    """Return the further rights that another value for this secret takes, by what uses it."""
    further: Callable[[Target], tuple[Need, ...]] = import_string(settings.VALUE_NEEDS)
    return further(secret)


def _insert(secret: Secret, ou: OU) -> None:
    taken = NameTaken(f"There is a secret {secret.name} in {rbac.shown(ou.path)} already. Rotate it.", field="name")
    if Secret.objects.filter(ou=ou, name=secret.name, archived_at__isnull=True).exists():
        raise taken
    try:
        secret.save(force_insert=True)
    except IntegrityError as error:  # another transaction took the name since we looked
        raise taken from error


def _destroy(sealed: Sealed | None) -> None:
    if sealed is not None:
        sealed.delete()


def _described(secret: Secret) -> dict[str, object]:
    ou_path = rbac.shown(secret.ou.path)
    return {"name": secret.name, "kind": secret.kind, "ou_path": ou_path, "version": secret.version}
