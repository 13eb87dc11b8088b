"""Console views of approvals: the inbox, one request with all it takes to decide it, and deciding."""

from __future__ import annotations

from typing import Any  # template context
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from approvals import eligibility, expiry, queries
from approvals.commands import CancelRequest
from approvals.exposure import exposed
from approvals.forms import DecideForm
from approvals.models import ApprovalRequest, Status
from approvals.rows import approvers_of, tool_call
from powerloom.commands.bus import submit
from powerloom.commands.registry import Done, Held
from powerloom.kernel.errors import Invalid, NotFound
from powerloom.web.answers import actor_of
from powerloom.web.lists import Page, page_of
from powerloom.web.pages import fragment, go, held, page, signed_in

ROWS = 50
MOST_COUNTED = 99

TABS = (("to_approve", "To approve"), ("mine", "Mine"), ("recent", "Recent"))
EMPTY = {
    "to_approve": "Nothing waits for you.",
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
    found = page_of(request, queries.tab(actor_of(request), tab), size=ROWS)
    return page(
        request,
        "approvals/list.html",
        "approvals/_list.html",
        page=found,
        policies=_policies(found),
        sentence=EMPTY[tab],
        tabs=[_tab(key, name, current=key == tab) for key, name in TABS],
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
@require_POST
def decide(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Say yes or no."""
    found = queries.request_for_read(actor_of(request), request_id)
    expiry.end_if_late(request_id)
    form = DecideForm(request.POST, given={"request_id": request_id})
    if not form.is_valid():
        raise Invalid("Say approve or reject, with a reason of at most 2000 characters.")
    match submit(form.value, actor=actor_of(request)):
        case Done():
            word = "Approved" if form.value.verdict == "approve" else "Rejected"
            return go(request, reverse("approvals:list"), saying=f"{word}: {found}.")
        case Held(request=ask):
            return held(request, ask)


@signed_in
@require_POST
def cancel(request: HttpRequest, request_id: UUID) -> HttpResponse:
    """Take back one's own request."""
    match submit(CancelRequest(request_id=request_id), actor=actor_of(request)):
        case Done():
            return go(request, reverse("approvals:detail", args=[request_id]), saying="Cancelled.")
        case Held(request=ask):
            return held(request, ask)


def _context(request: HttpRequest, found: ApprovalRequest) -> dict[str, Any]:
    actor = actor_of(request)
    demands, decisions = queries.demands_of([found])[found.pk], queries.decisions_of([found])[found.pk]
    seen = exposed(actor, found)
    is_open = found.status == Status.PENDING
    decided = any(decision.decider_id == actor.id for decision in decisions)
    return {
        "ask": found,
        "tool_call": tool_call(found, seen),
        "state": found.outcome or found.status,
        "demands": demands,
        "decisions": decisions,
        "approvers": approvers_of(found, demands) if is_open else [],
        "seen": seen,
        "is_open": is_open,
        "may_decide": is_open and not decided and eligibility.meets(actor, found),
        "is_mine": found.requester_id == actor.id,
        "form": DecideForm(),
    }


def _policies(found: Page[ApprovalRequest]) -> dict[UUID, str]:
    demands = queries.demands_of(found.rows)
    return {id_: ", ".join(sorted({one.policy_name for one in asked})) for id_, asked in demands.items()}


def _tab(key: str, name: str, *, current: bool) -> dict[str, Any]:
    return {"name": name, "url": f"{reverse('approvals:list')}?tab={key}", "current": current}
