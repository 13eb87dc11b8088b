"""Manifests over REST: planned, applied, taken away, exported, and the schemas of their kinds. A manifest is YAML, or
JSON, as it stands.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal  # Any: JSON

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Query, Router, Schema
from pydantic import Field

from accounts.names import Name
from powerloom.kernel.errors import NotFound, TooLarge
from powerloom.manifests.apply import apply
from powerloom.manifests.export import exported
from powerloom.manifests.plan import Wish, plan
from powerloom.manifests.shapes import KINDS, OUPath, schema
from powerloom.web.answers import actor_of, is_dry_run, key_of

router = Router(tags=["manifests"])

HELD = 202
YAML = "application/yaml"
TAKES_YAML = {
    "requestBody": {
        "required": True,
        "description": "Documents of what should be, as YAML or JSON.",
        "content": {YAML: {"schema": {"type": "string"}}, "application/json": {"schema": {}}},
    }
}

Explain = dict[str, Any] | None
Request = dict[str, Any] | None


class Meant(Schema):
    """What a manifest is part of."""

    set_name: Name | None = Field(
        None, alias="set", description="The set of manifests that this is; what it names belongs to the set."
    )
    prune: bool = Field(
        False, description="Take away what belongs to the set and is no longer in the manifest. Needs `set`."
    )

    def wish(self, *, destroy: bool = False) -> Wish:
        return Wish(self.set_name or "", self.prune, destroy)


class Left(Schema):
    """What a manifest is part of, where it is taken away."""

    set_name: Name | None = Field(
        None, alias="set", description="The set that what is taken away belongs to no longer."
    )


class How(Meant):
    """How a manifest is applied."""

    strict: bool = Field(False, description="Refuse a foreign server that does not answer, instead of warning.")
    best_effort: bool = Field(False, description="Apply each document by itself, instead of all of them or nothing.")


class FieldChange(Schema):
    """One field: what it is, and what it would be."""

    from_: Any = Field(alias="from")
    to: Any


class PlannedOut(Schema):
    """One document of a manifest, and what would be done about it."""

    kind: str
    address: str = Field(description="What it is about, unique within its kind.")
    line: int = Field(description="Where the document begins.")
    verb: Literal["create", "update", "delete", "noop", "held", "denied", "invalid"] = Field(
        description="What would come of it."
    )
    act: Literal["create", "update", "delete", "noop", "invalid"] = Field(
        description="What it asks for, whether or not that is held or denied."
    )
    changes: dict[str, FieldChange]
    why: str = Field(description="Why it is held, denied or invalid; empty otherwise.")
    explain: Explain = Field(description="The same with facts and remedy, where there are any.")
    cma_calls: int
    cma_minutes: float | None = Field(description="What the rate budget makes these calls take; null without one.")
    warnings: list[str]


class PlanOut(Schema):
    """What would be done to each resource, in that order, and what the set as a whole would meet."""

    resources: list[PlannedOut]
    summary: dict[str, int] = Field(description="How many resources have which verb.")
    would_hold: bool
    held_by: list[str]
    explain: Explain = Field(description="Why the set would be held, and who would decide.")
    cma_calls: int = Field(description="What is reached beyond the resources counts here, too.")
    cma_minutes: float | None


class AppliedRowOut(PlannedOut):
    """One document, and what was done about it."""

    status: Literal["applied", "noop", "held", "denied", "failed"]
    request: Request = Field(description="With `best_effort`: the request that holds this document alone.")


class AppliedOut(Schema):
    """What was done to each resource; `request` is the one that holds the set, if one does."""

    resources: list[AppliedRowOut]
    request: Request


class Where(Schema):
    """Which subtree."""

    ou: Annotated[str, OUPath] = Field(description="Path of the OU at its top.")


@router.post(
    "/manifests/plan",
    response=PlanOut,
    summary="Say what a manifest would do",
    openapi_extra=TAKES_YAML,
)
def plan_manifest(request: HttpRequest, meant: Query[Meant]) -> HttpResponse:
    return JsonResponse(plan(_text(request), actor_of(request), meant.wish()).as_json())


@router.post(
    "/manifests/apply",
    response={200: AppliedOut, 202: AppliedOut},
    summary="Apply a manifest as one set",
    openapi_extra=TAKES_YAML,
)
def apply_manifest(request: HttpRequest, how: Query[How]) -> HttpResponse:
    actor = actor_of(request)
    planned = plan(_text(request), actor, how.wish())
    if is_dry_run(request):
        return JsonResponse(planned.as_json())
    applied = apply(planned, actor, strict=how.strict, best_effort=how.best_effort, key=key_of(request))
    return JsonResponse(applied.as_json(), status=HELD if applied.request else 200)


@router.post(
    "/manifests/destroy",
    response={200: AppliedOut, 202: AppliedOut},
    summary="Take away what a manifest names, as one set",
    openapi_extra=TAKES_YAML,
)
def destroy_manifest(request: HttpRequest, left: Query[Left]) -> HttpResponse:
    """Take away what a manifest names, as one set, what rests on others first.

    What is not there is left alone. With `dry_run=true` it answers as a plan does.
    """
    actor = actor_of(request)
    planned = plan(_text(request), actor, Wish(left.set_name or "", destroy=True))
    if is_dry_run(request):
        return JsonResponse(planned.as_json())
    applied = apply(planned, actor, strict=False, best_effort=False, key=key_of(request))
    return JsonResponse(applied.as_json(), status=HELD if applied.request else 200)


@router.get("/manifests/export", response={200: str}, openapi_extra={"x-streams": YAML})
def export_manifest(request: HttpRequest, where: Query[Where]) -> HttpResponse:
    """Export a subtree as a manifest that plans as no change.

    It holds what you may read, and never a secret.
    """
    return HttpResponse(exported(where.ou, actor_of(request)), content_type=f"{YAML}; charset=utf-8")


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
