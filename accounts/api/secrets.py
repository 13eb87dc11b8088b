"""Secrets: named, of a kind, in an OU. A value goes in and is never shown again, to nobody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any  # Any: JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Router, Schema
from pydantic import Field, SecretStr

from accounts import queries
from accounts.api.shapes import Body
from accounts.commands.secrets import CreateSecret, DeleteSecret, RotateSecret, SecretKind, SecretName, sealed_value
from accounts.models import Secret
from accounts.names import Description
from accounts.rbac import shown
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["secrets"])

LONGEST_VALUE = 64 * 1024
Value = Annotated[SecretStr, Field(min_length=1, max_length=LONGEST_VALUE)]  # kept out of every repr


class SecretIn(Body):
    name: SecretName
    ou_id: UUID
    kind: SecretKind = "opaque"
    description: Description = ""
    value: Value


class RotationIn(Body):
    value: Value


class SecretOut(Schema):
    id: UUID
    name: str
    kind: str
    description: str
    ou_id: UUID
    ou_path: str
    version: int
    created_at: datetime
    rotated_at: datetime | None


@router.get("/secrets", response=list[SecretOut], summary="List secrets, without their values")
def list_secrets(request: HttpRequest, ou_id: UUID | None = None, kind: str | None = None) -> HttpResponseBase:
    actor = actor_of(request)
    found = queries.secrets_visible_to(actor)
    if ou_id is not None:
        found = found.filter(ou=queries.ou_for(actor, ou_id))
    if kind is not None:
        found = found.filter(kind=kind)
    return listing(request, found, render_all)


@router.post("/secrets", response={201: SecretOut}, summary="Keep a secret")
def create_secret(request: HttpRequest, body: SecretIn) -> HttpResponse:
    organization_id = queries.ou_for(actor_of(request), body.ou_id).organization_id
    value = sealed_value(organization_id, body.value.get_secret_value())
    command = CreateSecret(id=new_id(), **value, **body.model_dump(exclude={"value"}))
    return perform(request, command, render=_rendered, find=queries.secret_for, created=True)


@router.get("/secrets/{uuid:secret_id}", response=SecretOut, summary="Get a secret, without its value")
def get_secret(request: HttpRequest, secret_id: UUID) -> HttpResponse:
    return JsonResponse(_row(queries.secret_for(actor_of(request), secret_id)))


@router.post("/secrets/{uuid:secret_id}/rotate", response=SecretOut, summary="Replace the value of a secret")
def rotate_secret(request: HttpRequest, secret_id: UUID, body: RotationIn) -> HttpResponse:
    secret = queries.secret_for(actor_of(request), secret_id)
    value = sealed_value(secret.organization_id, body.value.get_secret_value())
    command = RotateSecret(secret_id=secret_id, **value)
    return perform(request, command, render=_rendered, find=queries.secret_for)


@router.delete("/secrets/{uuid:secret_id}", response={204: None}, summary="Destroy a secret")
def delete_secret(request: HttpRequest, secret_id: UUID) -> HttpResponse:
    return perform(request, DeleteSecret(secret_id=secret_id), render=None)


def render_all(found: Sequence[Secret]) -> list[dict[str, Any]]:
    return [_row(secret) for secret in found]


def _rendered(secret: Secret, actor: Actor) -> dict[str, Any]:
    return _row(secret)


def _row(secret: Secret) -> dict[str, Any]:
    return {
        "id": str(secret.id),
        "name": secret.name,
        "kind": secret.kind,
        "description": secret.description,
        "ou_id": str(secret.ou_id),
        "ou_path": shown(secret.ou.path),
        "version": secret.version,
        "created_at": secret.created_at.isoformat(),
        "rotated_at": secret.rotated_at.isoformat() if secret.rotated_at else None,
    }
