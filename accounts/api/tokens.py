"""Long-lived tokens: one's own, and those of agents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any  # JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from ninja import Router, Schema

from accounts import queries, tokens
from accounts.api.shapes import Body
from accounts.commands.tokens import CreateToken, RevokeToken, TokenName
from accounts.models import AccessToken
from accounts.names import Moment
from accounts.rbac import shown
from powerloom.kernel.errors import NotFound
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["tokens"])

OWN = "/users/me/personal-access-tokens"
ANOTHER = "/principals/{uuid:principal_id}/tokens"


class TokenIn(Body):
    name: TokenName
    expires_at: Moment | None = None
    actions: list[str] | None = None
    ou_id: UUID | None = None


class TokenRow(Schema):
    id: UUID
    principal_id: UUID
    name: str
    token_prefix: str
    actions: list[str] | None
    ou_id: UUID | None
    ou_path: str | None
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class NewTokenRow(TokenRow):
    raw_token: str | None


@router.get(OWN, response=list[TokenRow], summary="List one's own tokens, revoked ones too")
def list_own(request: HttpRequest) -> HttpResponseBase:
    actor = actor_of(request)
    return listing(request, queries.tokens_of(actor, _own(actor)), render_all)


@router.post(OWN, response={201: NewTokenRow}, summary="Create a token; its text is shown once")
def create_own(request: HttpRequest, body: TokenIn) -> HttpResponse:
    return _create(request, _own(actor_of(request)), body)


@router.delete(OWN + "/{uuid:token_id}", response={204: None}, summary="Revoke a token and all that it made")
def revoke_own(request: HttpRequest, token_id: UUID) -> HttpResponse:
    return revoke_of(request, _own(actor_of(request)), token_id)


@router.get(ANOTHER, response=list[TokenRow], summary="List the tokens of a principal")
def list_of(request: HttpRequest, principal_id: UUID) -> HttpResponseBase:
    return listing(request, queries.tokens_of(actor_of(request), principal_id), render_all)


@router.post(ANOTHER, response={201: NewTokenRow}, summary="Create a token of an agent; its text is shown once")
def create_of(request: HttpRequest, principal_id: UUID, body: TokenIn) -> HttpResponse:
    return _create(request, principal_id, body)


@router.delete(ANOTHER + "/{uuid:token_id}", response={204: None}, summary="Revoke a token of a principal")
def revoke_of(request: HttpRequest, principal_id: UUID, token_id: UUID) -> HttpResponse:
    return perform(request, RevokeToken(principal_id=principal_id, token_id=token_id), render=None)


def render_all(found: Sequence[AccessToken]) -> list[dict[str, Any]]:
    return [_row(token) for token in found]


def _create(request: HttpRequest, principal_id: UUID, body: TokenIn) -> HttpResponse:
    text, prefix, digest = tokens.mint()
    named = {"id": new_id(), "principal_id": principal_id, "prefix": prefix, "digest": digest}
    command = CreateToken.model_validate(body.model_dump() | named)

    def find(actor: Actor, token_id: UUID) -> AccessToken:
        return queries.token_for(actor, principal_id, token_id)

    return perform(request, command, render=_rendered, find=find, created=True, once={"raw_token": text})


def _own(actor: Actor) -> UUID:
    if actor.id is None:
        raise NotFound
    return actor.id


def _rendered(token: AccessToken, actor: Actor) -> dict[str, Any]:
    return _row(token)


def _row(token: AccessToken) -> dict[str, Any]:
    return {
        "id": str(token.id),
        "principal_id": str(token.principal_id),
        "name": token.name,
        "token_prefix": token.prefix,
        "actions": token.actions,
        "ou_id": str(token.ou_id) if token.ou_id else None,
        "ou_path": shown(token.ou.path) if token.ou else None,
        "created_at": token.created_at.isoformat(),
        "last_used_at": _moment(token.last_used_at),
        "expires_at": _moment(token.expires_at),
        "revoked_at": _moment(token.revoked_at),
    }


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
