"""The server, over HTTP. Answers are JSON; what is refused or held is raised, so that no verb forgets to look.

A write carries an Idempotency-Key and is sent once more when its answer is lost: it still happens once. OAuth's forms
know no such key and are sent once.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import partial
from typing import Any  # JSON
from urllib.parse import urlsplit, urlunsplit

import httpx

from powerloom import __version__

TIMEOUT = httpx.Timeout(120, connect=10)
PAGE = 500
HELD = 202
LOOPBACK = {"127.0.0.1", "localhost", "::1"}

# What carries requests; None is the network. Tests put the server itself here.
transport: httpx.BaseTransport | None = None


class Refused(Exception):
    """The server said no. `message` says what to do next; `detail` explains."""

    def __init__(self, status: int, code: str, message: str, detail: Any = None, request_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.detail = detail if isinstance(detail, dict) else {}
        self.request_id = request_id


class Unreachable(Exception):
    """There is no answer; the words say from where."""


class HeldForApproval(Exception):
    """A policy holds the change. `request` is what waits; `body` the whole answer."""

    def __init__(self, request: dict[str, Any], body: dict[str, Any]) -> None:
        super().__init__(str(request.get("message", "")))
        self.request = request
        self.body = body


class Client:
    """The API of one server, as one person."""

    def __init__(self, url: str, token: str = "", *, justification: str = "") -> None:
        self.url = url.rstrip("/")
        headers = {"Accept": "application/json", "User-Agent": f"weave/{__version__}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if justification:
            headers["X-Approval-Justification"] = justification
        # A proxy has no business between two programs of one machine.
        is_near = urlsplit(self.url).hostname in LOOPBACK
        self._http = httpx.Client(headers=headers, timeout=TIMEOUT, trust_env=not is_near, transport=transport)

    def get(self, path: str, **query: Any) -> Any:
        return self._json(self._send("GET", path, params=query))

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        return self._json(self._send("POST", path, json=body or {}, params=query))

    def patch(self, path: str, body: Any) -> Any:
        return self._json(self._send("PATCH", path, json=body))

    def delete(self, path: str) -> Any:
        return self._json(self._send("DELETE", path))

    def send_text(self, path: str, text: bytes, **query: Any) -> Any:
        """POST a manifest as it stands."""
        return self._json(
            self._send("POST", path, content=text, params=query, headers={"Content-Type": "application/yaml"})
        )

    def upload(self, path: str, name: str, content: bytes) -> Any:
        """POST a file."""
        return self._json(self._send("POST", path, files={"file": (name, content, "application/octet-stream")}))

    def form(self, path: str, **fields: str) -> tuple[int, Any]:
        """POST a form as OAuth wants it, once, and return status and answer: its refusals are no errors."""
        answer = self._send("POST", path, repeats=False, data=fields)
        return answer.status_code, _parsed(answer)

    def text(self, path: str, **query: Any) -> str:
        """GET what is no JSON, whole."""
        answer = self._send("GET", path, params=query)
        _check(answer)
        return answer.text

    def lines(self, path: str) -> Iterator[bytes]:
        """GET what is too long to be held, in pieces."""
        try:
            with self._http.stream("GET", self.url + path) as answer:
                if answer.is_error:
                    answer.read()
                _check(answer)
                yield from answer.iter_bytes()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def rows(self, path: str, *, most: int | None = None, **query: Any) -> list[Any]:
        """GET a list, every page of it unless `most` rows are enough."""
        found: list[Any] = []
        asked = {name: value for name, value in query.items() if value is not None}
        page = self._send("GET", path, params={**asked, "limit": min(most or PAGE, PAGE)})
        while True:
            found += self._json(page)
            following = page.links.get("next", {}).get("url")
            if following is None or (most is not None and len(found) >= most):
                return found[:most]
            # The server's own words for what follows; our own idea of where it is.
            page = self._send("GET", path, params=httpx.URL(following).params)

    def socket_url(self, ws_url: str) -> str:
        """Return where a socket is, from the address that an answer gave: relative to our base, or whole."""
        scheme, host, path, query, _ = urlsplit(ws_url)
        base = urlsplit(self.url)
        if not host:
            scheme, host, path = base.scheme, base.netloc, f"{base.path}{path}"
        return urlunsplit((scheme.replace("http", "ws", 1), host, path, query, ""))

    def is_there(self) -> bool:
        """Tell whether our API answers at this base."""
        answer = self._send("GET", "/capabilities")
        found = _parsed(answer) if answer.is_success else None
        return isinstance(found, dict) and "api_contract_version" in found

    def _send(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, repeats: bool = True, **options: Any
    ) -> httpx.Response:
        key = {} if method == "GET" else {"Idempotency-Key": str(uuid.uuid4())}
        send = partial(self._http.request, method, self.url + path, headers={**key, **(headers or {})}, **options)
        try:
            try:
                return send()
            except (httpx.ReadError, httpx.RemoteProtocolError, httpx.ReadTimeout):
                if not repeats:
                    raise
                return send()
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        except httpx.InvalidURL as error:
            raise Unreachable(f"{self.url} is no address: {error}.") from error

    def _unreachable(self, error: httpx.TransportError) -> Unreachable:
        return Unreachable(
            f"{self.url} does not answer: {error or type(error).__name__}. Is it running, and the URL right?"
        )

    def _json(self, answer: httpx.Response) -> Any:
        _check(answer)
        body = _parsed(answer) if answer.content else None
        if answer.status_code == HELD and isinstance(body, dict):
            raise HeldForApproval(body.get("request") or body, body)
        return body


def base_of(url: str) -> str:
    """Return the base of the API behind an address: below `/api`, or, on a host of the API's own, at its root.

    Raises `Unreachable` when there is none.
    """
    given = url.rstrip("/") if "//" in url else f"https://{url.rstrip('/')}"
    places = [given] if urlsplit(given).path.endswith("/api") else [f"{given}/api", given]
    for place in places:
        try:
            if Client(place).is_there():
                return place
        except Refused:
            continue
    raise Unreachable(f"There is no Powerloom at {given}. Is the URL right?")


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    if answer.is_redirect:
        raise Refused(answer.status_code, "redirected", "The server redirects; give the URL that it redirects to.")
    body = _parsed(answer)
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        words = f"The server answered {answer.status_code} without a reason. Is this a Powerloom?"
        raise Refused(answer.status_code, "unknown", words)
    said = {name: str(error.get(name, "")) for name in ("code", "message", "request_id")}
    raise Refused(answer.status_code, said["code"], said["message"], error.get("detail"), said["request_id"])


def _parsed(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        words = "The answer is no JSON. Is this a Powerloom, and the URL that of its API?"
        raise Refused(answer.status_code, "not_json", words) from error
