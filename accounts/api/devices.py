"""Signing in a program through a browser, over OAuth's own wire (RFC 8628): forms in, and refusals in OAuth's shape,
because that is what OAuth's clients read. What a person confirms is at `/device` in the console.
"""

from __future__ import annotations

from typing import Annotated, Any  # Any: JSON
from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from ninja import Form, Router, Schema
from pydantic import Field

from accounts import devices, tokens
from accounts.commands.tokens import CreateToken
from accounts.devices import Refusal
from accounts.models import AccessToken, DeviceLogin
from accounts.tokens import actor_of_user
from powerloom.commands.bus import submit
from powerloom.commands.registry import Done
from powerloom.kernel.errors import PowerloomError
from powerloom.kernel.ids import new_id
from powerloom.web.requests import address, request_id

router = Router(tags=["sign-in"])

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
BAD_REQUEST = 400
MOST_ACTIONS = 200
WORDS = {
    Refusal.PENDING: "Nobody has confirmed the code yet.",
    Refusal.SLOW_DOWN: "Look less often.",
    Refusal.DENIED: "The sign-in was denied.",
    Refusal.EXPIRED: "The code is older than ten minutes. Start again.",
    Refusal.UNKNOWN: "This device code is not one of ours, or was used already.",
}


class DeviceIn(Schema):
    """Who asks. `scope` names actions, separated by spaces; without it the token may do what its person may."""

    client_id: Annotated[str, Field(max_length=100)] = ""
    client_name: Annotated[str, Field(max_length=100)] = ""
    scope: Annotated[str, Field(max_length=8000)] = ""


class DeviceOut(Schema):
    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class DeviceTokenIn(Schema):
    grant_type: Annotated[str, Field(max_length=200)] = ""
    device_code: Annotated[str, Field(max_length=200)] = ""
    client_id: Annotated[str, Field(max_length=100)] = ""


class DeviceTokenOut(Schema):
    """A personal access token of who confirmed; `token_id` is its row in the list of tokens."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str
    token_id: UUID


class OAuthRefusalOut(Schema):
    """A refusal as OAuth has it (RFC 6749, section 5.2; RFC 8628, section 3.5)."""

    error: str
    error_description: str


@router.post(
    "/auth/device",
    response={200: DeviceOut, 400: OAuthRefusalOut},
    auth=None,
    summary="Start the sign-in of a program without a browser",
)
def begin(request: HttpRequest, asked: Form[DeviceIn]) -> JsonResponse:
    if not asked.client_id:
        return _refused("invalid_request", "Name the program as client_id.")
    scope = asked.scope.split()
    if len(scope) > MOST_ACTIONS:
        return _refused("invalid_scope", f"At most {MOST_ACTIONS} actions are named.")
    codes = devices.begin(asked.client_name or asked.client_id, scope, address(request))
    page, user_code = _page(request), devices.shown(codes.user)
    return _private(
        {
            "device_code": codes.device,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": f"{page}?{urlencode({'user_code': user_code})}",
            "expires_in": int(devices.LIFETIME.total_seconds()),
            "interval": devices.INTERVAL,
        }
    )


@router.post(
    "/auth/device/token",
    response={200: DeviceTokenOut, 400: OAuthRefusalOut},
    auth=None,
    summary="Fetch the token of a sign-in that was confirmed",
)
def fetch(request: HttpRequest, asked: Form[DeviceTokenIn]) -> JsonResponse:
    if asked.grant_type != GRANT:
        return _refused("unsupported_grant_type", f"grant_type is {GRANT}.")
    if not asked.device_code:
        return _refused("invalid_request", "Send the device_code that you were given.")
    found = devices.look(asked.device_code)
    if isinstance(found, Refusal):
        return _refused(found, WORDS[found])
    try:
        token, text = _made(request, found)
    except PowerloomError as error:  # what was chosen is no more: an OU was archived, there are too many tokens
        return _refused(Refusal.DENIED, error.message)
    assert token.expires_at is not None, "a command gives every token an end"
    return _private(
        {
            "access_token": text,
            "token_type": "Bearer",
            "expires_in": int((token.expires_at - token.created_at).total_seconds()),
            "scope": " ".join(token.actions or []),
            "token_id": str(token.id),
        }
    )


def _made(request: HttpRequest, login: DeviceLogin) -> tuple[AccessToken, str]:
    """Make the token as the person who said yes, by the command that makes every token."""
    assert login.user is not None, "somebody said yes"
    text, prefix, digest = tokens.mint()
    command = CreateToken(
        id=new_id(),
        principal_id=login.user.id,
        name=login.token_name,
        prefix=prefix,
        digest=digest,
        expires_at=login.token_expires_at,
        actions=None if login.token_actions is None else tuple(login.token_actions),
        ou_id=login.token_ou_id,
    )
    actor = actor_of_user(login.user, request_id=request_id(request), address=address(request))
    done = submit(command, actor=actor)
    assert isinstance(done, Done), "one's own tokens are never held"
    return done.row, text


def _page(request: HttpRequest) -> str:
    """Return where a person confirms: on this host, unless it is one that serves the API alone."""
    path = reverse("accounts:device", urlconf=settings.ROOT_URLCONF)
    is_api_host = request.META.get("HTTP_HOST", "").lower() in settings.API_HOSTS
    return f"{settings.PUBLIC_URL}{path}" if is_api_host else request.build_absolute_uri(path)


def _refused(code: str, words: str) -> JsonResponse:
    return _private({"error": str(code), "error_description": words}, status=BAD_REQUEST)


def _private(body: dict[str, Any], status: int = 200) -> JsonResponse:
    """Answer with what no cache may keep (RFC 6749, section 5.1)."""
    response = JsonResponse(body, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response
