"""Error pages: what Django's own handlers answer. An API caller gets the API's error shape, a person gets a page in
the look.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from powerloom.console.navigation import frame
from powerloom.kernel.errors import Denied, Invalid, NotFound, PowerloomError, Unavailable
from powerloom.web.answers import error_response
from powerloom.web.pages import HEADINGS, refused
from powerloom.web.requests import request_id

API_ROOT = "powerloom.api.root_urls"
BROKEN = "This is our fault, and it is in our log under the request below. Try again; if it stays, tell your operator."


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, Invalid("Check the address, or go back and send the form again."), status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, Denied("You may not open this page."))


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose CSRF token is missing or old."""
    return _answer(
        request, Denied("This form was open for too long or came from another site. Go back, reload, send it again.")
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _answer(request, NotFound("There is nothing here, or you may not see it."))


def broken(request: HttpRequest) -> HttpResponse:
    """Answer after an unexpected exception. Asks the database nothing: it may be what broke."""
    if _is_api(request):
        response = error_response(Unavailable(BROKEN), request)
        response.status_code = 500
        return response
    context = {"heading": HEADINGS[500], "sentence": BROKEN, "request_id": request_id(request), "shell": frame(request)}
    return HttpResponse(render_to_string("errors/plain.html", context), status=500)


def _answer(request: HttpRequest, error: PowerloomError, *, status: int | None = None) -> HttpResponse:
    response = error_response(error, request) if _is_api(request) else refused(request, error)
    response.status_code = status or error.status
    return response


def _is_api(request: HttpRequest) -> bool:
    # Not `get_host()`: a refused Host header is one of the errors that end here.
    return request.path.startswith("/api/") or getattr(request, "urlconf", None) == API_ROOT
