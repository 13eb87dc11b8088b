"""Signing in, and one's own password."""

from __future__ import annotations

from typing import Annotated, Any  # Any: JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router, Schema
from pydantic import Field

from accounts import dev_login, passwords, queries, rbac, sign_in
from accounts.actions import Action
from accounts.api import rows
from accounts.api.shapes import Body, UserOut
from accounts.commands.passwords import SetPassword
from accounts.models import User
from accounts.tokens import SIGN_IN_LIFETIME, sign_in_token
from powerloom.kernel.errors import Denied, Invalid, NotFound, Unauthenticated
from powerloom.web.answers import actor_of, perform
from powerloom.web.requests import address, request_id

router = Router(tags=["sign-in"])

Password = Annotated[str, Field(min_length=1, max_length=sign_in.LONGEST_PASSWORD)]


class Credentials(Body):
    email: Annotated[str, Field(min_length=1, max_length=254)]
    password: Password


class TokenOut(Schema):
    access_token: str
    token_type: str
    expires_in: int


class TokensOut(Schema):
    tokens: TokenOut


class PasswordIn(Body):
    current_password: Password
    new_password: Password


class FirstPasswordOut(UserOut):
    initial_password: str | None


@router.post("/auth/token", response=TokenOut, auth=None, summary="Sign in by e-mail and password")
def sign_in_by_password(request: HttpRequest, body: Credentials) -> HttpResponse:
    user = sign_in.by_password(body.email, body.password, request_id=request_id(request), address=address(request))
    if user.organization_id is None:
        raise Denied("Platform operators use the console. The API is for members of an organization.")
    return _private(_token(user))


@router.get("/auth/login", response=TokensOut, auth=None, summary="Sign in by name, in development on this machine")
def sign_in_by_name(request: HttpRequest, email: Annotated[str, Query(alias="as", max_length=254)]) -> HttpResponse:
    user = dev_login.user_named(request, email)
    sign_in.record(user, "development", request_id=request_id(request), address=address(request))
    return _private({"tokens": _token(user)})


@router.post("/me/password", response={204: None}, summary="Change one's own password")
def change_password(request: HttpRequest, body: PasswordIn) -> HttpResponse:
    actor = actor_of(request)
    if actor.kind != "user" or actor.id is None:
        raise NotFound
    user = queries.user_for(actor, actor.id)
    try:
        sign_in.confirm(user.email, body.current_password, request_id=request_id(request), address=address(request))
    except Unauthenticated as error:  # the bearer is good; what is wrong is a field
        raise Invalid("This is not the current password.", field="current_password") from error
    command = SetPassword(user_id=user.id, sealed_id=passwords.sealed_hash(body.new_password, user))
    return perform(request, command, render=None)


@router.post("/users/{uuid:user_id}/password", response=FirstPasswordOut, summary="Give a user a first password")
def give_password(request: HttpRequest, user_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    user = queries.user_for(actor, user_id)
    if user.id == actor.id and actor.token_id is None:  # a token is refused by the command itself
        raise Invalid("Your own password is changed at /me/password, with the current one.", field="user_id")
    decision = rbac.may(actor, Action.USER_SET_PASSWORD, user.target().ou_path)
    if not decision.allowed:  # asked again by the door; here it saves hashing for whoever may not
        raise rbac.refusal(actor, Action.USER_SET_PASSWORD, user.target(), decision)
    password = passwords.minted()
    command = SetPassword(user_id=user.id, sealed_id=passwords.sealed_hash(password, user))
    shown = {"initial_password": password}
    return perform(request, command, render=rows.user, find=queries.user_for, once=shown)


def _token(user: User) -> dict[str, Any]:
    lifetime = int(SIGN_IN_LIFETIME.total_seconds())
    return {"access_token": sign_in_token(user), "token_type": "Bearer", "expires_in": lifetime}


def _private(body: dict[str, Any]) -> JsonResponse:
    """Answer with what no cache may keep (RFC 6749, section 5.1)."""
    response = JsonResponse(body)
    response.headers["Cache-Control"] = "no-store"
    return response
