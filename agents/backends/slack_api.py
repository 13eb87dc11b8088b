"""Calls of the Slack Web API: one method a call, its waits and its refusals, in words that hold no secret.

The address is the operator's (`settings.SLACK_URL`), so a token goes nowhere that a tenant chose. What the client
says about an error is never passed on: it was holding the token.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any  # Slack's JSON

import httpx
from django.conf import settings

from powerloom.kernel.tls import trust

TIMEOUT = 10.0  # seconds, of one request from its beginning to the end of the answer
MOST_WAITING = 10.0  # seconds that one call spends waiting because Slack said so
MOST_BYTES = 4 * 1024 * 1024
PLAIN = {"accept-encoding": "identity"}  # so that what is counted is what arrives
A_TOKEN = re.compile(r"[A-Za-z0-9._-]{8,512}")

WORDS = {
    "invalid_auth": "Slack does not know the token: put a fresh one into the secret.",
    "not_authed": "Slack does not know the token: put a fresh one into the secret.",
    "account_inactive": "The token's account is switched off: put a fresh token into the secret.",
    "token_revoked": "The token was revoked: put a fresh one into the secret.",
    "token_expired": "The token has expired: put a fresh one into the secret.",
    "no_permission": "The Slack app may not do this: give it the scopes and install it again.",
    "missing_scope": (
        "The Slack app lacks a scope. It needs channels:read, channels:history and chat:write; for private channels "
        "groups:read and groups:history too."
    ),
    "not_allowed_token_type": "Slack does not take this type of token here: use the bot token of a Slack app.",
    "channel_not_found": "Slack does not show this channel to the app: invite the app into it.",
    "not_in_channel": "The Slack app is not in this channel: invite it.",
    "is_archived": "The channel is archived.",
    "restricted_action": "A setting of the Slack workspace forbids this.",
    "msg_too_long": "The message is too long for Slack.",
    "no_text": "The message has no text.",
    "thread_not_found": "There is no such thread.",
}


class Failed(Exception):
    """A call had no result; why, in words of ours. `code` is Slack's word for it where we know it."""

    def __init__(self, words: str, *, code: str = "") -> None:
        super().__init__(words)
        self.words = words
        self.code = code


class SlackApi:
    """The connections, shared by all tokens. Made at the first call, in the loop that calls."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    def with_token(self, token: str) -> Slack:
        """Return the API as one token sees it. Raises `Failed` for what cannot be a token."""
        if not A_TOKEN.fullmatch(token):
            raise Failed("The secret does not hold a Slack token.")
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=trust(), timeout=TIMEOUT, trust_env=False, follow_redirects=False, headers=PLAIN
            )
        return Slack(self._client, token)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


class Slack:
    """The API with a token, for the length of one tool call: what it waits is counted over all of it."""

    def __init__(self, client: httpx.AsyncClient, token: str) -> None:
        self._client = client
        self._headers = {"authorization": f"Bearer {token}"}
        self._patience = MOST_WAITING

    async def get(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method that reads. Raises `Failed`."""
        return await self._call(httpx.Request("GET", _url(method), params=dict(params), headers=self._headers))

    async def post(self, method: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call a method that writes. Raises `Failed`."""
        return await self._call(httpx.Request("POST", _url(method), json=dict(body), headers=self._headers))

    async def _call(self, request: httpx.Request) -> dict[str, Any]:
        while True:
            status, retry_after, body = await self._send(request)
            if status != 429:  # which says that nothing was done, so that doing it again is safe
                return _result(status, body)
            if retry_after > self._patience:
                raise Failed(f"Slack is being asked too often. Try again in {retry_after} s.", code="ratelimited")
            self._patience -= retry_after
            await asyncio.sleep(retry_after)

    async def _send(self, request: httpx.Request) -> tuple[int, int, bytes]:
        try:
            async with asyncio.timeout(TIMEOUT):  # of the whole, so that a server that drips does not hold us
                response = await self._client.send(request, stream=True)
                try:
                    body = await _read(response)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            raise Failed("Slack did not answer in time.") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise Failed("Slack could not be reached.") from None
        return response.status_code, _seconds(response.headers.get("retry-after", "")), body


async def _read(response: httpx.Response) -> bytes:
    body = b""
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Failed("Slack's answer is too long.")
    return body


def _url(method: str) -> str:
    return f"{settings.SLACK_URL}/{method}"


def _seconds(header: str) -> int:
    # At least one, so that a server that says 0 for ever is left after as many rounds as there is patience.
    return max(1, int(header)) if header.isascii() and header.isdigit() and len(header) < 7 else 1


def _result(status: int, body: bytes) -> dict[str, Any]:
    if status != 200:
        raise Failed(f"Slack answered with status {status}.")
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise Failed("Slack's answer cannot be read.")
    if answer.get("ok") is not True:
        code = str(answer.get("error", ""))
        raise Failed(
            WORDS.get(code, "Slack refused, with an error that is not known here."), code=code if code in WORDS else ""
        )
    return answer
