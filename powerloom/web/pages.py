"""The edge of a console view: who is signed in, page or fragment, and refusals in words.

    @signed_in
    @require_POST
    def rename(request, session_id):
        form = RenameForm(request.POST, given={"session_id": session_id})
        return submitted(request, form, "sessions/_rename.html", then=lambda session: said(request, "Renamed."))

Only Django's session cookie opens a console view; a bearer never does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, Concatenate, ParamSpec  # Any: template context
from urllib.parse import quote

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.module_loading import import_string
from pydantic import ValidationError

from powerloom.kernel.errors import Invalid, PowerloomError
from powerloom.kernel.refs import Actor
from powerloom.web.answers import act_as
from powerloom.web.forms import JUSTIFICATION
from powerloom.web.refusals import record_refusal
from powerloom.web.requests import address, request_id

P = ParamSpec("P")

HEADINGS = {
    400: "This request cannot be read",
    403: "Not allowed",
    404: "Not found",
    409: "It changed meanwhile",
    422: "Something is not right yet",
    429: "Too many at once",
    500: "Something broke on our side",
    503: "A part does not answer",
}


def signed_in(
    view: Callable[Concatenate[HttpRequest, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Ask for a sign-in, resolve who acts, answer refusals as pages, and keep the answer out of every cache."""

    @wraps(view)
    def inner(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return go(request, f"{settings.LOGIN_URL}?next={quote(request.get_full_path())}")
        act_as(request, console_actor(request))
        try:
            response = view(request, *args, **kwargs)
        except PowerloomError as error:
            record_refusal(request, error)
            response = refused(request, error)
        except ValidationError as error:
            response = refused(request, Invalid(error.errors()[0]["msg"]))
        response.headers["Cache-Control"] = "no-store"
        return response

    return inner


def console_actor(request: HttpRequest) -> Actor:
    """Return the actor of the signed-in user, with what the form says for itself, should a policy ask."""
    actor: Actor = import_string(settings.ACTOR_OF_USER)(
        request.user, request_id=request_id(request), address=address(request)
    )
    return replace(actor, justification=request.POST.get(JUSTIFICATION, "").strip()[:2000])


def is_fragment(request: HttpRequest) -> bool:
    """Tell whether the page itself is already there and only a part of it is asked for."""
    return request.headers.get("HX-Request") == "true" and "HX-History-Restore-Request" not in request.headers


def page(request: HttpRequest, whole: str, part: str, **context: Any) -> HttpResponse:
    """Render the page, or only its changing part when htmx asks. The page includes the same file."""
    return render(request, part if is_fragment(request) else whole, context)


def fragment(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> HttpResponse:
    """Render one fragment."""
    return render(request, template, context, status=status)


def go(request: HttpRequest, url: str, *, saying: str = "") -> HttpResponse:
    """Send the browser to another page; `saying` is shown there."""
    if saying:
        messages.success(request, saying, extra_tags="ok")
    if not is_fragment(request):
        return redirect(url)
    response = HttpResponse(status=204)
    response.headers["HX-Redirect"] = url
    return response


def said(request: HttpRequest, text: str, *, tone: str = "ok", status: int = 200, url: str = "") -> HttpResponse:
    """Say one thing in a toast and leave the page as it is; without htmx, go back to the page and say it there. `url`
    leads to the request that holds what was asked.
    """
    if not is_fragment(request):
        messages.success(request, text, extra_tags=tone)
        return redirect(url or _page_before(request))
    response = render(request, "parts/toast.html", {"tone": tone, "text": text, "request_url": url}, status=status)
    response.headers["HX-Retarget"] = "#toasts"
    response.headers["HX-Reswap"] = "beforeend"
    return response


def held(request: HttpRequest, ask: Any) -> HttpResponse:
    """Say that an approval policy holds the change, and who can let it pass; nothing was applied."""
    where = reverse("approvals:detail", args=[ask["id"]])
    return said(request, str(ask["message"]), tone="held", status=202, url=where)


def shown_once(request: HttpRequest, *, what: str, value: str, back: str) -> HttpResponse:
    """Show a secret this one time, over the page that asked for it; `back` is where one goes once it is kept."""
    response = page(request, "parts/once_page.html", "parts/once.html", what=what, value=value, back=back)
    if is_fragment(request):
        response.headers["HX-Retarget"] = "#once"
        response.headers["HX-Reswap"] = "innerHTML"
    return response


def refused(request: HttpRequest, error: PowerloomError) -> HttpResponse:
    """Answer a refusal: a toast where a part was asked for, else a page that says what to do next."""
    if is_fragment(request):
        return said(request, error.message, tone="bad", status=error.status)
    return error_page(request, error.status, error.message, _facts(error))


def error_page(
    request: HttpRequest, status: int, sentence: str, facts: list[tuple[str, str]] | None = None
) -> HttpResponse:
    """Render an error page in the look, within the shell for people who are signed in."""
    known = getattr(request, "user", None) is not None and request.user.is_authenticated
    context = {
        "heading": HEADINGS.get(status, "Not possible"),
        "sentence": sentence,
        "facts": facts or [],
        "request_id": request_id(request),
    }
    return render(request, "errors/shell.html" if known else "errors/plain.html", context, status=status)


def _facts(error: PowerloomError) -> list[tuple[str, str]]:
    names = {"permission": "Permission", "ou_path": "OU", "field": "Field"}
    return [(words, str(error.detail[name])) for name, words in names.items() if error.detail.get(name)]


def _page_before(request: HttpRequest) -> str:
    before = request.headers.get("Referer", "")
    origin = f"{request.scheme}://{request.get_host()}/"
    return before if before.startswith(origin) else "/"
