"""Manifests over REST: planned, applied, and the schemas of their kinds. The body is YAML, or JSON, as it stands."""

from __future__ import annotations

from typing import Any  # JSON

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router, Schema

from powerloom.kernel.errors import NotFound, TooLarge
from powerloom.manifests.apply import apply
from powerloom.manifests.plan import plan
from powerloom.manifests.shapes import KINDS, schema
from powerloom.web.answers import actor_of, is_dry_run, key_of

router = Router(tags=["manifests"])

HELD = 202


class How(Schema):
    """`strict` refuses a foreign server that does not answer; `best_effort` applies each document by itself."""

    strict: bool = False
    best_effort: bool = False


class PlanOut(Schema):
    """What would be done to each resource, and what the set as a whole would meet."""

    resources: list[dict[str, Any]]
    summary: dict[str, int]
    would_hold: bool
    held_by: list[str]
    cma_calls: int
    cma_minutes: float | None


class AppliedOut(Schema):
    """What was done to each resource; `request` is the one that holds the set, if one does."""

    resources: list[dict[str, Any]]
    request: dict[str, Any] | None


@router.post("/manifests/plan", response=PlanOut, summary="Say what a manifest would do")
def plan_manifest(request: HttpRequest) -> HttpResponse:
    return JsonResponse(plan(_text(request), actor_of(request)).as_json())


@router.post("/manifests/apply", response={200: AppliedOut, 202: AppliedOut}, summary="Apply a manifest as one set")
def apply_manifest(request: HttpRequest, how: Query[How]) -> HttpResponse:
    actor = actor_of(request)
    planned = plan(_text(request), actor)
    if is_dry_run(request):
        return JsonResponse(planned.as_json())
    applied = apply(planned, actor, strict=how.strict, best_effort=how.best_effort, key=key_of(request))
    return JsonResponse(applied.as_json(), status=HELD if applied.request else 200)


@router.get("/manifests/schema/{kind}", response=dict[str, Any], summary="Get the JSON Schema of a kind")
def get_schema(request: HttpRequest, kind: str) -> HttpResponse:
    if kind not in KINDS:
        raise NotFound(f"There is no such kind; there are {', '.join(KINDS)}.")
    return JsonResponse(schema(KINDS[kind]))


def _text(request: HttpRequest) -> bytes:
    limit: int = settings.MAX_JSON_BODY
    try:
        body = request.body
    except RequestDataTooBig as error:
        raise TooLarge(f"A manifest has at most {limit} bytes.", limit=limit) from error
    if len(body) > limit:
        raise TooLarge(f"A manifest has at most {limit} bytes.", limit=limit)
    return body
