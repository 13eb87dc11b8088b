"""The fleet's door: a session's bearer for a token of one tool."""

from __future__ import annotations

import hmac
from typing import Annotated
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from accounts.delegations import LIFETIME
from agents.fleet_client import credential
from powerloom.kernel.errors import Unauthenticated
from sessions import delegations

router = Router(tags=["sessions"])


class ExchangeIn(Schema):
    """`bearer` is of the session's own vault, as the fleet was shown it for a call of `tool` at the deployment."""

    model_config = ConfigDict(extra="forbid")

    bearer: Annotated[str, Field(min_length=1, max_length=512)]
    deployment_id: UUID
    tool: Annotated[str, Field(min_length=1, max_length=64)]


class DelegatedOut(Schema):
    access_token: str
    token_type: str
    expires_in: int


@router.post(
    "/auth/delegations/exchange",
    response=DelegatedOut,
    auth=None,
    summary="Trade a session's bearer for a token of one tool; for the fleet",
    openapi_extra={"x-ungoverned": True},  # it changes nothing that is governed
)
def exchange(request: HttpRequest, body: ExchangeIn) -> HttpResponse:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.encode(), credential().encode()):
        raise Unauthenticated("This is the fleet's door: it takes the fleet's own client credential.")
    token = delegations.exchange(body.bearer, body.deployment_id, body.tool)
    response = JsonResponse(
        {"access_token": token, "token_type": "Bearer", "expires_in": int(LIFETIME.total_seconds())}
    )
    response.headers["Cache-Control"] = "no-store"
    return response
