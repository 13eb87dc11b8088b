"""The policies: what waits for whose yes, each with what it holds now, and a tester for what it would hold."""

from __future__ import annotations

from typing import Any  # template context
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.law import shown
from accounts.queries import ous_visible_to
from approvals import conditions, holding, obstacles, queries, trials
from approvals.commands import ArchivePolicy, PolicyChanges, UpdatePolicy
from approvals.exposure import names
from approvals.models import ApprovalPolicy
from approvals.policy_forms import (
    EXAMPLE,
    UNITS,
    ChangePolicyForm,
    NewPolicyForm,
    PolicyForm,
    SwitchOffForm,
    TryForm,
    as_written,
    known_patterns,
)
from approvals.trials import LOOKS_BACK, Guard, guard_of
from powerloom.kernel.errors import Invalid
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of
from powerloom.web.filters import Filters
from powerloom.web.lines import applying, place_of
from powerloom.web.lists import page_of
from powerloom.web.pages import fragment, go, page, signed_in
from powerloom.web.submitting import performed, submitted

ROWS = 50
MOST_PATHS = 500  # offered while one types; any other path may be written too
MOST_SHOWN = 20


@signed_in
@require_GET
def policy_list(request: HttpRequest) -> HttpResponse:
    """The policies that one may read, newest first."""
    actor = actor_of(request)
    chosen = Filters(request, q="Name", state="State", ou="OU")
    found = page_of(request, _filtered(queries.policies_visible_to(actor), chosen), size=ROWS)
    waiting = holding.counts(actor, found.rows)
    return page(
        request,
        "approvals/policies.html",
        "approvals/_policies.html",
        page=found,
        lines=[(policy, waiting.get(policy.pk, 0)) for policy in found.rows],
        chosen=chosen,
        chips=chosen.chips(state=str.capitalize),
        kept=chosen.kept(by_form=frozenset({"q", "state"})),
        bare=request.path,
        line=_first_line(request),
        against=obstacles.against_making(actor),
    )


@signed_in
@require_GET
def policy_detail(request: HttpRequest, policy_id: UUID) -> HttpResponse:
    """One policy, what it holds now, and its tester."""
    actor = actor_of(request)
    policy = queries.policy_for_read(actor, policy_id)
    waiting = list(holding.requests(actor, policy)[:MOST_SHOWN])
    named = names(actor, waiting)
    return page(
        request,
        "approvals/policy.html",
        "approvals/_policy.html",
        policy=policy,
        refusals=obstacles.obstacles(actor, policy),
        waiting=[(ask, named[ask.pk]) for ask in waiting],
        switch_off_form=SwitchOffForm(),
        **_tester({"policy_id": policy.pk}, actor),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def policy_new(request: HttpRequest) -> HttpResponse:
    """Make a policy: its form and the tester beside it by GET, the deed by POST."""
    actor = actor_of(request)
    if request.method == "GET":
        form = NewPolicyForm(actor=actor, initial={"scope": request.GET.get("ou", ""), "unit": UNITS[0][0]})
        return fragment(request, "approvals/policy_form.html", form=form, **_tester({}, actor))
    form = NewPolicyForm(request.POST, actor=actor, given={"id": new_id()})
    return _saved(request, form, None)


@signed_in
@require_http_methods(["GET", "POST"])
def policy_edit(request: HttpRequest, policy_id: UUID) -> HttpResponse:
    """Change a policy: its form by GET, the deed by POST. What somebody else changed meanwhile is not overwritten."""
    actor = actor_of(request)
    policy = queries.policy_for_read(actor, policy_id)
    if request.method == "GET":
        form = ChangePolicyForm(actor=actor, initial=as_written(policy))
        context = {"form": form, "policy": policy, "generation": policy.generation, **_tester({}, actor)}
        return page(request, "approvals/policy_form.html", "approvals/_policy_form.html", **context)
    given = {"policy_id": policy_id, "generation": request.POST.get("generation") or None}
    return _saved(request, ChangePolicyForm(request.POST, actor=actor, given=given), policy)


@signed_in
@require_POST
def policy_switch_on(request: HttpRequest, policy_id: UUID) -> HttpResponse:
    """Let a policy hold again."""
    command = UpdatePolicy(policy_id=policy_id, changes=PolicyChanges(is_on=True))
    words = "Switched on. It holds what matches from now on."
    return performed(request, command, then=lambda _: go(request, _to(policy_id), saying=words))


@signed_in
@require_POST
def policy_switch_off(request: HttpRequest, policy_id: UUID) -> HttpResponse:
    """Let a policy hold nothing more, with a reason."""
    policy = queries.policy_for_read(actor_of(request), policy_id)
    form = SwitchOffForm(request.POST, given={"policy_id": policy_id})
    return submitted(
        request,
        form,
        "approvals/_switch_off.html",
        then=lambda _: go(request, _to(policy_id), saying="Switched off. It holds nothing more."),
        policy=policy,
    )


@signed_in
@require_POST
def policy_archive(request: HttpRequest, policy_id: UUID) -> HttpResponse:
    """End a policy."""
    gone = reverse("approvals:policies")
    words = "Deleted. Its audit entries stay."
    return performed(request, ArchivePolicy(policy_id=policy_id), then=lambda _: go(request, gone, saying=words))


@signed_in
@require_POST
def policy_try(request: HttpRequest) -> HttpResponse:
    """Say what a policy would do to a made-up change, and which past ones it would have held. Changes nothing."""
    actor = actor_of(request)
    form = TryForm(request.POST)
    if not form.is_valid():
        response = fragment(
            request, "approvals/_try.html", status=422, **_tester(form.data, actor) | {"try_form": form}
        )
        response.headers["HX-Retarget"] = "#try"
        response.headers["HX-Reswap"] = "outerHTML"
        return response
    guard = _guard(actor, form.cleaned_data)
    made_up = form.cleaned_data["made_up"]
    said = None
    if made_up is not None:
        facts = made_up.model_dump(include=set(conditions.NAMES))
        said = trials.tried(guard, made_up.action, made_up.ou_path or shown(guard.scope_path), facts)
    past = trials.past(actor, guard, since=timezone.now() - LOOKS_BACK)
    return fragment(request, "approvals/_tried.html", said=said, past=past, shown=past["held"][:MOST_SHOWN])


def _filtered(policies: QuerySet[ApprovalPolicy], chosen: Filters) -> QuerySet[ApprovalPolicy]:
    terms = Q()
    if chosen["q"]:
        terms &= Q(name__icontains=chosen["q"]) | Q(action_pattern__icontains=chosen["q"])
    if chosen["state"] in {"on", "off"}:
        terms &= Q(is_on=chosen["state"] == "on")
    if chosen["ou"]:
        terms &= Q(scope_path__startswith=f"{chosen['ou'].rstrip('/')}/")
    return policies.filter(terms)


def _first_line(request: HttpRequest) -> str:
    named = {"name": "production", "scope_ou_path": place_of(request)}
    return applying("ApprovalPolicy", named, {"action_pattern": "agent:*", "approver_role": "Approver"})


def _tester(about: Any, actor: Actor) -> dict[str, Any]:
    """Return what the tester and the fields that name OUs and actions need."""
    paths = ous_visible_to(actor).order_by("path").values_list("path", flat=True)[:MOST_PATHS]
    return {
        "try_form": TryForm(initial={"sample": EXAMPLE}),
        "tried_policy": about.get("policy_id"),
        "paths": [shown(path) for path in paths],
        "patterns": known_patterns(),
    }


def _guard(actor: Actor, said: dict[str, Any]) -> Guard:
    if said["policy_id"]:
        return guard_of(queries.policy_for_read(actor, said["policy_id"]))
    scope = ous_visible_to(actor).filter(path=f"{said['scope'].rstrip('/')}/").first()
    if scope is None or not said["action_pattern"]:
        raise Invalid("Say the scope and the actions of the policy first; then it can be tried.")
    conditions.check(said["condition"])
    return Guard(scope.path, said["action_pattern"], said["condition"])


def _saved(request: HttpRequest, form: PolicyForm, policy: ApprovalPolicy | None) -> HttpResponse:
    return submitted(
        request,
        form,
        "approvals/_policy_form.html",
        then=lambda row: go(request, _to(row.pk), saying="Saved."),
        whole="approvals/policy_form.html",
        policy=policy,
        generation=request.POST.get("generation", ""),
        **_tester({}, form.actor),
    )


def _to(policy_id: UUID) -> str:
    return reverse("approvals:policy", args=[policy_id])
