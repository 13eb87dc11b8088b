"""Where in a request something is wrong, as the caller wrote it.

Pydantic's places hold more than that: ninja's words for body and query, the names of our own parameters, and a name for
every member of a union that was tried. What leads through what was sent is the caller's, and of the rest only the name
of a field that should have been sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any  # JSON, and pydantic's errors

from django.http import HttpRequest

from powerloom.kernel.errors import Invalid
from powerloom.web.bodies import JsonParser

MAX_PLACE = 200  # characters that an error repeats: the name may be the caller's own


def place_of(error: dict[str, Any], request: HttpRequest) -> str:
    """Return the place of an error of ninja (its first word says in what part of the request) or of a command."""
    place = list(error["loc"])
    is_of_a_part = bool(place) and place[0] in SOURCES
    read = SOURCES[place.pop(0)] if is_of_a_part else _everything
    found = written(read(request), place)
    # A default may be wrong too: then nothing of its place was sent.
    if place and (error["type"] == "missing" or not found):
        found = [*found, str(place[-1])]
    return ".".join(found)[:MAX_PLACE]


def written(sent: Any, place: Iterable[str | int]) -> list[str]:
    """Return those parts of the place that lead through what was sent. Pure."""
    found: list[str] = []
    for part in place:
        if _leads_on(sent, part):
            sent = sent[part]
            found.append(str(part))
    return found


def _leads_on(sent: Any, part: str | int) -> bool:
    if isinstance(sent, list):
        return isinstance(part, int) and part < len(sent)
    return isinstance(sent, dict) and part in sent


def _query(request: HttpRequest) -> dict[str, Any]:
    return request.GET.dict()


def _path(request: HttpRequest) -> dict[str, Any]:
    return dict(request.resolver_match.kwargs) if request.resolver_match else {}


def _form(request: HttpRequest) -> dict[str, Any]:
    return request.POST.dict()


def _files(request: HttpRequest) -> dict[str, Any]:
    return request.FILES.dict()


def _body(request: HttpRequest) -> Any:
    try:
        return JsonParser().parse_body(request)
    except Invalid:
        return {}


def _everything(request: HttpRequest) -> dict[str, Any]:
    """Return what a command is made of."""
    body = _body(request)
    return {**_path(request), **_query(request), **(body if isinstance(body, dict) else {})}


SOURCES = {"query": _query, "path": _path, "form": _form, "file": _files, "body": _body}
