"""The edge of a governed write: command in, HTTP answer out. The same eight lines for every route.

    command = SetModel(agent_id=agent_id, model=body.model)
    return perform(request, command, render=render_agent, find=queries.agent_for_read)

`?dry_run=true` answers with what would happen; `Idempotency-Key` makes a repeat answer the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, cast  # Any: rows and their JSON differ by route
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse, JsonResponse

from powerloom.commands.bus import preview, submit_all
from powerloom.commands.idempotency import Key
from powerloom.commands.registry import Case, Command, Done, Held, Preview
from powerloom.kernel.canonical import keyed_digest
from powerloom.kernel.errors import Invalid, PowerloomError
from powerloom.kernel.keys import derived_key
from powerloom.kernel.refs import Actor
from powerloom.web.requests import request_id

Render = Callable[[Any, Actor], dict[str, Any]]
Find = Callable[[Actor, UUID], Any]


class Resolved(HttpRequest):
    """A request of which it is known who asks; django-ninja keeps the result of its auth in `auth`."""

    auth: Actor


def actor_of(request: HttpRequest) -> Actor:
    """Return who asks, as the bearer check or the console's session resolved it."""
    return cast("Resolved", request).auth


def act_as(request: HttpRequest, actor: Actor) -> None:
    """Say who asks, for `actor_of` from now on."""
    cast("Resolved", request).auth = actor


def perform(
    request: HttpRequest,
    *commands: Command,
    render: Render | None,
    find: Find | None = None,
    created: bool = False,
    once: Mapping[str, Any] | None = None,
) -> HttpResponse:
    """Submit the commands as one set and answer with the first one's row.

    201 when `created`, 200 otherwise, 204 when there is nothing to render, 202 when a policy holds the set.
    `find` reads the row again, under the rights of now, when an Idempotency-Key repeats the write. `once` holds values
    that are shown a single time (a token's text): a repeat answers null for them and `secret_already_shown: true`. One
    that is a function is asked for its value, with the row, after the write and not at a repeat.
    """
    actor = actor_of(request)
    if is_dry_run(request):
        return JsonResponse(_previewed(preview(commands, actor=actor)))
    done = submit_all(commands, actor=actor, key=key_of(request))
    if isinstance(done, Held):
        return JsonResponse(done.request, status=202)
    if render is None:
        return HttpResponse(status=204)
    row = _row(done, actor, find)
    shown = render(row, actor) | _shown_once(once, row, again=done.replayed)
    return JsonResponse(shown, status=201 if created else 200)


def _row(done: Done, actor: Actor, find: Find | None) -> Any:
    if not done.replayed:
        return done.row
    assert find is not None, "a route that renders must be able to find its row again"
    return find(actor, done.refs[0][1])


def _shown_once(once: Mapping[str, Any] | None, row: Any, *, again: bool) -> dict[str, Any]:
    if not once:
        return {}
    if again:
        return dict.fromkeys(once) | {"secret_already_shown": True}
    return {name: value(row) if callable(value) else value for name, value in once.items()}


def is_dry_run(request: HttpRequest) -> bool:
    """Tell whether `?dry_run=true` was asked. Raises `Invalid` on anything but true and false: a guess could write."""
    asked = request.GET.get("dry_run", "false")
    if asked not in {"true", "false"}:
        raise Invalid("dry_run is true or false.", field="dry_run")
    return asked == "true"


def key_of(request: HttpRequest) -> Key | None:
    """Return the request's Idempotency-Key with what it stands for, or None when it has none."""
    value = request.headers.get("Idempotency-Key")
    if value is None:
        return None
    asked = [request.method, request.path, request.META.get("QUERY_STRING", ""), _sent(request)]
    return Key(f"{request.method} {request.path}"[:200], value, keyed_digest(derived_key("idempotency"), asked))


def _sent(request: HttpRequest) -> Any:
    """Return what tells this body from another. A multipart one is parsed already, and its boundary differs."""
    if request.content_type != "multipart/form-data":
        return hashlib.sha256(request.body).hexdigest()
    files = [[name, file.name, _content(file)] for name, found in request.FILES.lists() for file in found]
    return [sorted(request.POST.lists()), sorted(files)]


def _content(file: UploadedFile[Any]) -> str:
    found = hashlib.sha256()
    for chunk in file.chunks():
        found.update(chunk)
    file.seek(0)
    return found.hexdigest()


def error_body(error: PowerloomError, request: HttpRequest) -> dict[str, Any]:
    """Return the one error shape of the API."""
    return error_shape(error, request_id(request))


def error_shape(error: PowerloomError, asked: str) -> dict[str, Any]:
    """As `error_body`, for an edge that knows the request's id alone."""
    return {
        "error": {
            "code": error.code,
            "message": error.message,
            "detail": dict(error.detail),
            "request_id": asked,
        }
    }


def error_response(error: PowerloomError, request: HttpRequest) -> JsonResponse:
    """Return the error as an answer, with `Retry-After` where it has one."""
    response = JsonResponse(error_body(error, request), status=error.status)
    if "retry_after" in error.detail:
        response.headers["Retry-After"] = str(error.detail["retry_after"])
    return response


def _previewed(found: Preview) -> dict[str, Any]:
    return {
        "dry_run": True,
        "would_hold": found.held is not None,
        "held_by": found.held,
        "commands": [_case(case) for case in found.cases],
        "cma_calls": found.calls,
    }


def _case(case: Case) -> dict[str, Any]:
    change = case.change
    before, after = (change.before, change.after) if change else (None, None)
    return {
        "action": case.command.action,
        "target": {"kind": case.target.kind, "id": str(case.target.id), "name": case.target.name},
        "decision": case.decision,
        "before": before,
        "after": after,
        "diff": _diff(before or {}, after or {}),
    }


def _diff(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return {name: {"from": before.get(name), "to": after.get(name)} for name in names}
