"""The API's outermost edge: what holds for every request to it, whatever Django or a route makes of it.

Schema versions that we do not speak are refused with 426; text that no database keeps is refused before anything reads
it; and whatever error comes back without the one error shape (an unknown path, a wrong method, a body over the limit)
gets it.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponseBase

from powerloom.kernel.errors import (
    Broken,
    Denied,
    Invalid,
    Malformed,
    NotFound,
    PowerloomError,
    TooLarge,
    Unavailable,
    UnsupportedVersion,
    WrongMethod,
)
from powerloom.web.answers import error_response
from powerloom.web.hosts import is_api

SCHEMA_HEADER = "X-Powerloom-Schema-Version"
SCHEMA_MAJORS = ("1", "2")
JSON = "application/json"

_BY_STATUS: dict[int, PowerloomError] = {
    400: Malformed("This request cannot be read. Check its headers, its address and its body."),
    403: Denied("This request is not allowed."),
    404: NotFound("There is no such route. The routes are at /docs beside this API."),
    405: WrongMethod("This route does not know this method; the Allow header names those it does."),
    413: TooLarge("The request is too large."),
    503: Unavailable("A part that this needs does not answer. Nothing was changed; ask again."),
}


class ApiEdgeMiddleware:
    """Stands outside everything that can refuse a request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        has_nul = "\0" in request.path or b"\0" in unquote_to_bytes(request.META.get("QUERY_STRING", ""))
        if not is_api(request):
            if has_nul:
                raise SuspiciousOperation("a NUL character in the address")
            return self.get_response(request)
        if has_nul:
            return error_response(Invalid("Text must not hold the NUL character.", field="query"), request)
        if refusal := unsupported(request.headers.get(SCHEMA_HEADER)):
            return error_response(refusal, request)
        return _in_shape(self.get_response(request), request)


def unsupported(sent: str | None) -> UnsupportedVersion | None:
    """Return the refusal of a schema version that we do not speak. None sent is fine: most clients are curl."""
    if sent is None or sent.split(".")[0] in SCHEMA_MAJORS:
        return None
    return UnsupportedVersion(
        "This server does not speak this schema version. Update the client, or the server.",
        supported_versions=list(SCHEMA_MAJORS),
        client_sent=sent[:64],
    )


def _in_shape(response: HttpResponseBase, request: HttpRequest) -> HttpResponseBase:
    if response.status_code < 400 or response.headers.get("Content-Type", "").startswith(JSON):
        return response
    error = _BY_STATUS.get(response.status_code, Broken("This is our fault. It is in our log under this request id."))
    shaped = error_response(error, request)
    shaped.status_code = response.status_code
    for name in ("Allow", "Retry-After"):
        if name in response.headers:
            shaped.headers[name] = response.headers[name]
    return shaped
