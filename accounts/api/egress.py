"""Egress rules: list, create, delete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any  # JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from ninja import Router, Schema

from accounts import queries
from accounts.api.shapes import Body
from accounts.commands.egress import CreateEgressRule, DeleteEgressRule
from accounts.models import EgressRule
from accounts.names import HostPattern
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing

router = Router(tags=["egress rules"])


class EgressRuleIn(Body):
    pattern: HostPattern


class EgressRuleOut(Schema):
    """A host (`tools.acme.internal`), or all below one (`*.acme.internal`), whose private addresses may be called."""

    id: UUID
    pattern: str
    created_at: datetime


@router.get("/egress-rules", response=list[EgressRuleOut], summary="List egress rules")
def list_egress_rules(request: HttpRequest) -> HttpResponseBase:
    return listing(request, queries.egress_rules_visible_to(actor_of(request)), render_all)


@router.post("/egress-rules", response={201: EgressRuleOut}, summary="Let calls reach a private host")
def create_egress_rule(request: HttpRequest, body: EgressRuleIn) -> HttpResponse:
    command = CreateEgressRule(id=new_id(), pattern=body.pattern)
    return perform(request, command, render=_rendered, find=queries.egress_rule_for, created=True)


@router.delete("/egress-rules/{uuid:rule_id}", response={204: None}, summary="Delete an egress rule")
def delete_egress_rule(request: HttpRequest, rule_id: UUID) -> HttpResponse:
    return perform(request, DeleteEgressRule(rule_id=rule_id), render=None)


def render_all(found: Sequence[EgressRule]) -> list[dict[str, Any]]:
    return [_row(rule) for rule in found]


def _rendered(rule: EgressRule, actor: Actor) -> dict[str, Any]:
    return _row(rule)


def _row(rule: EgressRule) -> dict[str, Any]:
    return {"id": str(rule.id), "pattern": rule.pattern, "created_at": rule.created_at.isoformat()}
