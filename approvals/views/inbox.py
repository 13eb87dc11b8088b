"""The inbox, one request with all it takes to decide it, and deciding."""

from __future__ import annotations

from typing import Any  # template context
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from pydantic import ValidationError

from approvals import bulk, cards, eligibility, expiry, queries
from approvals.bulk import Several
from approvals.commands import CancelRequest
from approvals.exposure import names
from approvals.forms import DecideForm
from approvals.models import ApprovalRequest, Status, Verdict
from approvals.rows import approvers_of
from powerloom.kernel.errors import Invalid, NotFound
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of
from powerloom.web.lists import page_of
from powerloom.web.pages import fragment, go, is_fragment, page, signed_in
from powerloom.web.submitting import performed

ROWS = 25
MOST_COUNTED = 99
NO_MORE = "Choose up to a hundred requests, say approve or reject, and give a reason of at most 2000 characters."

TO_APPROVE = "to_approve"
TABS = ((TO_APPROVE, "To approve"), ("mine", "Mine"), ("recent", "Recent"))
KEYS = (
    ("j", "Next request"),
    ("k", "Request before"),
    ("x", "Choose it, or leave it out"),
    ("a", "Approve it, or all chosen"),
    ("r", "Reject it, or all chosen"),
    ("o", "Open it"),
)
EMPTY = {
    TO_APPROVE: "Nothing waits for you. What a policy holds and you may decide comes here by itself.",
    "mine": "You have asked for nothing that a policy holds.",
    "recent": "No change has been held yet.",
}


@signed_in
@require_GET
def inbox(request: HttpRequest) -> HttpResponse:
    """What waits for this person, what it asked for, and what there was."""
    tab = request.GET.get("tab", TABS[0][0])
    if tab not in EMPTY:
        raise NotFound
    context = _waiting(request) if tab == TO_APPROVE else _asked(request, tab)
    tabs = [_tab(key, name, current=key == tab) for key, name in TABS]
    policies = {"name": "Policies", "url": reverse("approvals:policies"), "current": False}
    return page(
        request,
        "approvals/list.html",
        "approvals/_cards.html" if tab == TO_APPROVE else "approvals/_list.html",
        **context,
        sentence=EMPTY[tab],
        tabs=[*tabs, policies],
    )


@signed_in
@require_GET
def count(request: HttpRequest) -> HttpResponse:
    """How many wait for this person; nothing when none does."""
    waiting = queries.to_approve(actor_of(request))[: MOST_COUNTED + 1].count()
    return fragment(request, "approvals/_count.html", waiting=waiting, most=MOST_COUNTED)


@signed_in
@require_GET
def request_detail(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """One request, with everything needed to decide it."""
    found = queries.request_for_read(actor_of(request), request_id)
    return page(request, "approvals/request.html", "approvals/_request.html", **_context(request, found))


@signed_in
@require_GET
def request_state(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """The badge of one request, for the page that keeps it fresh."""
    found = queries.request_for_read(actor_of(request), request_id)
    return fragment(request, "approvals/_state.html", ask=found, state=found.outcome or found.status)


@signed_in
@require_GET
def inline(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """One request in short, for a page about something else; it keeps itself fresh until it is over."""
    found = queries.request_for_read(actor_of(request), request_id)
    is_moving = found.status == Status.PENDING or (found.status == Status.APPROVED and not found.outcome)
    return fragment(request, "approvals/_inline.html", **_context(request, found), is_moving=is_moving)


@signed_in
@require_POST
def decide(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Say yes or no."""
    found = queries.request_for_read(actor_of(request), request_id)
    expiry.end_if_late(request_id)
    form = DecideForm(request.POST, given={"request_id": request_id})
    if not form.is_valid():
        raise Invalid("Say approve or reject, with a reason of at most 2000 characters.")
    word = "Approved" if form.value.verdict == Verdict.APPROVE else "Rejected"
    said = f"{word}: {found.action} {names(actor_of(request), [found])[found.pk]}."
    return performed(request, form.value, then=lambda _: go(request, reverse("approvals:list"), saying=said))


@signed_in
@require_POST
def decide_several(request: HttpRequest) -> HttpResponse:
    """Say the same of all that was chosen. What became of each stands in its place."""
    actor = actor_of(request)
    try:
        said = Several.model_validate(
            {
                "ids": request.POST.getlist("ids"),
                "verdict": request.POST.get("verdict"),
                "comment": request.POST.get("comment", ""),
            }
        )
    except ValidationError as error:
        raise Invalid(NO_MORE) from error
    results = bulk.decide(actor, said.ids, said.verdict, said.comment)
    done = [result for result in results if not result["error"]]
    word = f"{'Approved' if said.verdict == Verdict.APPROVE else 'Rejected'} {len(done)} of {len(results)}."
    if not is_fragment(request):
        return go(request, reverse("approvals:list"), saying=word)
    response = fragment(
        request, "approvals/_decided.html", **_outcome(actor, results), saying=word, verdict=said.verdict
    )
    response.headers["HX-Trigger"] = "inbox"  # the count in the rail
    return response


@signed_in
@require_POST
def cancel(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Take back one's own request."""
    there = reverse("approvals:detail", args=[request_id])
    command = CancelRequest(request_id=request_id)
    return performed(request, command, then=lambda _: go(request, there, saying="Cancelled."))


def _waiting(request: HttpRequest) -> dict[str, Any]:
    actor = actor_of(request)
    found = cards.waiting(actor, request.GET.get("cursor", ""))
    return {"page": found, "cards": cards.of(actor, found.rows), "keys": KEYS}


def _asked(request: HttpRequest, tab: str) -> dict[str, Any]:
    found = page_of(request, queries.tab(actor_of(request), tab), size=ROWS)
    demands = queries.demands_of(found.rows)
    named = names(actor_of(request), found.rows)
    lines = [
        (ask, named[ask.pk], ", ".join(sorted({one.policy_name for one in demands[ask.pk]}))) for ask in found.rows
    ]
    return {"page": found, "lines": lines}


def _outcome(actor: Actor, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what was decided and what was refused, each with its request where the actor may see it, and its name."""
    ids = [UUID(result["id"]) for result in results]
    asks = {ask.pk: ask for ask in queries.requests_visible_to(actor).filter(pk__in=ids)}
    named = names(actor, list(asks.values()))
    told = [(asks.get(id_), named.get(id_, ""), result["error"]) for id_, result in zip(ids, results, strict=True)]
    return {
        "done": [(ask, name) for ask, name, error in told if ask and not error],
        "refused": [one for one in told if one[2]],
    }


def _context(request: HttpRequest, found: ApprovalRequest) -> dict[str, Any]:
    actor = actor_of(request)
    card = cards.of(actor, [found])[0]
    is_open = found.status == Status.PENDING
    decided = any(decision.decider_id == actor.id for decision in card.decisions)
    asked = is_open and not decided and eligibility.meets(actor, found)
    return {
        "card": card,
        "ask": found,
        "state": found.outcome or found.status,
        "approvers": approvers_of(found, card.demands) if is_open else [],
        "is_open": is_open,
        "may_decide": asked and not card.refusal,
        "is_mine": found.requester_id == actor.id,
        "refusal": "" if asked or not is_open else _why_not(actor, found, decided=decided),
        "form": DecideForm(),
        "keys": [key for key in KEYS if key[0] in "ar"] if asked else [],
    }


def _why_not(actor: Actor, found: ApprovalRequest, *, decided: bool) -> str:
    if decided:
        return "You have decided this request already; it waits for others."
    if str(actor.id) in found.askers:
        return "Who asks does not decide. It waits for somebody else."
    return "You are not asked."


def _tab(key: str, name: str, *, current: bool) -> dict[str, Any]:
    return {"name": name, "url": f"{reverse('approvals:list')}?tab={key}", "current": current}
