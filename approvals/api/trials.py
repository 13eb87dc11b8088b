"""Trying a policy, saved or not: on a payload, and on what has happened already. Nothing is changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any  # payloads are JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from ninja import Router, Schema
from pydantic import AwareDatetime

from accounts.law import shown
from accounts.queries import ou_for
from approvals import conditions, queries, trials
from approvals.commands.policies import Condition, Part, Pattern
from approvals.trials import LOOKS_BACK, Guard, Sample, guard_of
from powerloom.kernel.errors import Invalid
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of

router = Router(tags=["approvals"])


class GuardIn(Part):
    """The part of a policy that matches."""

    scope_ou_id: UUID
    action_pattern: Pattern
    condition: Condition = ""


class TrialIn(Part):
    """A saved policy by id, or one that is not saved yet; and a made-up change, should one be tried."""

    policy_id: UUID | None = None
    policy: GuardIn | None = None
    sample: Sample | None = None
    since: AwareDatetime | None = None


class PastOut(Schema):
    since: datetime
    looked_at: int
    is_whole: bool
    held: list[dict[str, Any]]


class TrialOut(Schema):
    """`sample` says what the policy would do to the made-up change, `past` what it would have held."""

    sample: dict[str, Any] | None
    past: PastOut


@router.post("/approval-policies/try", response=TrialOut, summary="Try a policy without saving it")
def try_policy(request: HttpRequest, body: TrialIn) -> HttpResponse:
    actor = actor_of(request)
    guard = _guard(actor, body)
    sample = body.sample
    said = None
    if sample is not None:
        facts = sample.model_dump(include=set(conditions.NAMES))
        said = trials.tried(guard, sample.action, sample.ou_path or shown(guard.scope_path), facts)
    since = body.since or timezone.now() - LOOKS_BACK
    return JsonResponse({"sample": said, "past": trials.past(actor, guard, since=since)})


def _guard(actor: Actor, body: TrialIn) -> Guard:
    if body.policy_id is not None:
        return guard_of(queries.policy_for_read(actor, body.policy_id))
    if body.policy is None:
        raise Invalid("Name a policy by policy_id, or say one in policy.", field="policy")
    conditions.check(body.policy.condition)
    scope = ou_for(actor, body.policy.scope_ou_id)
    return Guard(scope.path, body.policy.action_pattern, body.policy.condition)
