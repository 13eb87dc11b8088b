"""Our own REST API as one tool call uses it: a token traded for the session's bearer, then requests with that alone.

The address is the operator's (`settings.API_URL`). What the API answers is passed on as it is; what the client says of
a broken connection is not, because it was holding the token.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any  # JSON of the API
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
from django.conf import settings

from agents.fleet_client import credential
from powerloom.kernel.ids import new_id
from powerloom.kernel.tls import trust

TIMEOUT = 20.0  # seconds, of one request
EXCHANGE = "/auth/delegations/exchange"


class Refused(Exception):
    """The API did not do what was asked: `error` as it answered, `said` in words."""

    def __init__(self, status: int, error: dict[str, Any], request_id: str, said: str = "") -> None:
        super().__init__(status)
        self.status = status
        self.error = error
        self.request_id = request_id
        self.said = said or f"API returned {status}: {error.get('message', '')}"


class Unreachable(Exception):
    """The API does not answer. The message says so, and nothing else."""


@dataclass(frozen=True)
class Reply:
    """What the API answered that is no refusal; `next_cursor` where there is another page."""

    status: int
    body: Any
    request_id: str
    next_cursor: str | None


class Api:
    """The connections of a process. Made at the first call, in the loop that calls. `transport` is for tests."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def traded(self, bearer: str, deployment_id: UUID, tool: str) -> Caller:
        """Return the API as one tool of the session may use it. Raises `Refused` and `Unreachable`."""
        body = {"bearer": bearer, "deployment_id": str(deployment_id), "tool": tool}
        reply = await self.send("POST", EXCHANGE, credential(), body=body)
        return Caller(self, str(reply.body["access_token"]))

    async def send(
        self,
        method: str,
        path: str,
        bearer: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make one request. Raises `Refused` and `Unreachable`."""
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=trust(), timeout=TIMEOUT, trust_env=False, transport=self._transport
            )
        request_id = f"meta_{new_id().hex}"
        headers = {"authorization": f"Bearer {bearer}", "x-request-id": request_id}
        try:
            answer = await self._client.request(
                method, f"{settings.API_URL}{path}", headers=headers, params=dict(query or {}), json=body
            )
            said = answer.json() if answer.content else None
        except (httpx.HTTPError, httpx.InvalidURL, json.JSONDecodeError, UnicodeDecodeError):
            raise Unreachable("Powerloom's API does not answer at POWERLOOM_API_URL.") from None
        if answer.is_success:
            return Reply(answer.status_code, said, request_id, _cursor(answer.links.get("next", {}).get("url", "")))
        error = said.get("error") if isinstance(said, dict) else None
        raise Refused(answer.status_code, error if isinstance(error, dict) else {}, request_id)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


@dataclass(frozen=True, repr=False)
class Caller:
    """The API with a token of one tool."""

    api: Api
    token: str

    async def get(self, path: str, query: Mapping[str, object] | None = None) -> Reply:
        """Read. What is None in the query is left out."""
        asked = {name: str(value) for name, value in (query or {}).items() if value is not None}
        return await self.api.send("GET", path, self.token, query=asked)

    async def post(self, path: str, body: Mapping[str, Any]) -> Reply:
        """Write. What is None in the body is left out."""
        return await self.api.send(
            "POST", path, self.token, body={name: value for name, value in body.items() if value is not None}
        )


def _cursor(url: str) -> str | None:
    found = parse_qs(urlsplit(url).query).get("cursor")
    return found[0] if found else None
