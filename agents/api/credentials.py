"""Credentials of agents for MCP servers. A value goes in, or is made here, and does not come out: a minted one for a
foreign server does, once, to be put into that server.
"""

from __future__ import annotations

from typing import Annotated, Any  # Any: fields of a command
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Query, Router, Schema
from pydantic import AfterValidator, AwareDatetime, Field, SecretStr

from accounts import sealing
from accounts.api.shapes import Body
from agents import minting
from agents.api import rows
from agents.api.shapes import CredentialDetailOut, CredentialOut, RevealedOut
from agents.commands import (
    CreateCredential,
    DeleteCredential,
    ResetCredentialSync,
    RevealCredential,
    RotateCredential,
)
from agents.models import Credential
from agents.queries.credentials import credential_for_read, credentials_visible_to
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["credentials"])


def _fits_a_header(token: SecretStr) -> SecretStr:
    if not minting.fits_a_header(token.get_secret_value()):
        raise ValueError("a bearer token is made of visible ASCII characters, without spaces")
    return token


Token = Annotated[SecretStr, Field(min_length=1, max_length=minting.LONGEST_TOKEN), AfterValidator(_fits_a_header)]


class CredentialFilter(Schema):
    """Of one agent, for one server, or both."""

    agent_id: UUID | None = None
    mcp_server_registration_id: UUID | None = None


class ValueIn(Body):
    """A foreign server's own token, or nothing: then a bearer is minted here."""

    token: Token | None = None
    expires_at: AwareDatetime | None = None


class CredentialIn(ValueIn):
    agent_id: UUID
    mcp_server_registration_id: UUID


@router.get("/credentials", response=list[CredentialOut], summary="List credentials, without their values")
def list_credentials(request: HttpRequest, wanted: Query[CredentialFilter]) -> HttpResponseBase:
    named = wanted.model_dump(exclude_none=True)
    if "mcp_server_registration_id" in named:
        named["server_id"] = named.pop("mcp_server_registration_id")
    return listing(request, credentials_visible_to(actor_of(request)).filter(**named), rows.credentials)


@router.post("/credentials", response={201: CredentialDetailOut}, summary="Give an agent a credential for a server")
def create_credential(request: HttpRequest, body: CredentialIn) -> HttpResponse:
    command = CreateCredential(
        id=new_id(),
        agent_id=body.agent_id,
        server_id=body.mcp_server_registration_id,
        **_value(actor_of(request), body),
    )
    return perform(request, command, render=rows.credential, find=credential_for_read, created=True)


@router.get("/credentials/{uuid:credential_id}", response=CredentialDetailOut, summary="Get a credential")
def get_credential(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    return JsonResponse(rows.credential(credential_for_read(actor, credential_id), actor))


@router.post("/credentials/{uuid:credential_id}/rotate", response=CredentialDetailOut, summary="Replace its value")
def rotate_credential(request: HttpRequest, credential_id: UUID, body: ValueIn) -> HttpResponse:
    command = RotateCredential(credential_id=credential_id, **_value(actor_of(request), body))
    return perform(request, command, render=rows.credential, find=credential_for_read)


@router.post(
    "/credentials/{uuid:credential_id}/reveal", response=RevealedOut, summary="Show a minted value, a single time"
)
def reveal_credential(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    command = RevealCredential(credential_id=credential_id)
    return perform(request, command, render=rows.credential, find=credential_for_read, once={"token": _opened})


@router.delete("/credentials/{uuid:credential_id}", response={204: None}, summary="Destroy a credential")
def delete_credential(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    return perform(request, DeleteCredential(credential_id=credential_id), render=None)


@router.post(
    "/credentials/{uuid:credential_id}/sync/reset", response=CredentialDetailOut, summary="Push its value again"
)
def reset_credential(request: HttpRequest, credential_id: UUID) -> HttpResponse:
    command = ResetCredentialSync(credential_id=credential_id)
    return perform(request, command, render=rows.credential, find=credential_for_read)


def _value(actor: Actor, body: ValueIn) -> dict[str, Any]:
    """Return what a command says of the value that was given, or of a new one."""
    assert actor.organization_id is not None, "only members use the API"
    token = body.token.get_secret_value() if body.token else None
    return minting.new_value(actor.organization_id, token) | {"expires_at": body.expires_at}


def _opened(credential: Credential) -> str:
    assert credential.sealed is not None, "it was good when it was revealed"
    return sealing.unseal(credential.sealed)
