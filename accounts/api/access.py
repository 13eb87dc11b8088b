"""Questions of access: may somebody do something somewhere, and why."""

from __future__ import annotations

from typing import Any  # JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja import Router, Schema

from accounts import explain
from powerloom.web.answers import actor_of

router = Router(tags=["access"])


class BindingFact(Schema):
    binding_id: UUID
    decision_type: str
    role: str
    principal_ref: str
    scope_ou_path: str


class AnswerOut(Schema):
    allowed: bool
    principal_id: UUID
    action: str
    ou_id: UUID
    ou_path: str
    because: BindingFact | None
    reason: str


class FactOut(Schema):
    kind: str
    text: str
    decides: bool
    binding: BindingFact | None


class ExplanationOut(AnswerOut):
    facts: list[FactOut]
    decided_by: str | None
    remedy: list[dict[str, Any]]


@router.get("/access/check", response=AnswerOut, summary="May I, or may somebody, do this there?")
def check(request: HttpRequest, action: str, ou_id: UUID, principal_id: UUID | None = None) -> HttpResponse:
    return JsonResponse(explain.check(explain.asked(actor_of(request), action, ou_id, principal_id)))


@router.get("/access/explain", response=ExplanationOut, summary="Why, or why not, and what would change it")
def explained(request: HttpRequest, action: str, ou_id: UUID, principal_id: UUID | None = None) -> HttpResponse:
    return JsonResponse(explain.explain(explain.asked(actor_of(request), action, ou_id, principal_id)))
