"""What every request carries: an id that names it in answers, logs and the audit trail, and the address behind it."""

from __future__ import annotations

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from powerloom.kernel.ids import new_id
from powerloom.web.logs import request_in_hand

HEADER = "X-Request-Id"
_ACCEPTED = re.compile(r"[A-Za-z0-9_.:-]{8,64}")


class RequestIdMiddleware:
    """Takes the caller's `X-Request-Id` when it is well formed, else makes one; sends it back with the answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        given = request.headers.get(HEADER, "")
        name = given if _ACCEPTED.fullmatch(given) else f"req_{new_id().hex}"
        request.META["powerloom.request_id"] = name
        token = request_in_hand.set(name)
        try:
            response = self.get_response(request)
        finally:
            request_in_hand.reset(token)
        response.headers[HEADER] = name
        return response


def request_id(request: HttpRequest) -> str:
    """Return the id of this request."""
    found: str = request.META.get("powerloom.request_id", "")
    return found


def address(request: HttpRequest) -> str:
    """Return the peer's address. Forwarding headers are not believed: a proxy in front is the operator's to log."""
    peer: str = request.META.get("REMOTE_ADDR", "")
    return peer
