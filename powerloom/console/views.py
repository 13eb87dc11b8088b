"""The console's own rooms: the overview and the audit trail."""

from __future__ import annotations

from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.views.decorators.http import require_GET

from accounts import trail
from agents.queries.lists import sync_counts
from powerloom.audit.models import Entry
from powerloom.audit.queries import payload
from powerloom.web.answers import actor_of
from powerloom.web.filters import Filters
from powerloom.web.lists import page_of
from powerloom.web.pages import page, signed_in
from sessions.lists import sessions_matching, status_counts

ROWS = 50
LATEST = 10
DECISIONS = [("allowed", "Allowed"), ("denied", "Denied"), ("not_found", "Hidden"), ("recorded", "Recorded")]


@signed_in
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """What waits for a person, and what ran last."""
    actor = actor_of(request)
    return page(
        request,
        "console/home.html",
        "console/_home.html",
        agents=[(word, count) for word, count in sync_counts(actor).items() if count],
        sessions=[(word, count) for word, count in status_counts(actor).items() if count],
        page=page_of(request, sessions_matching(actor), size=LATEST),
    )


@signed_in
@require_GET
def audit(request: HttpRequest) -> HttpResponse:
    """The audit trail, newest first."""
    chosen = Filters(
        request, q="Actor", action="Action", decision="Decision", ou="OU", target="Target", request="Request"
    )
    found = page_of(request, _filtered(trail.entries_visible_to(actor_of(request)), chosen), size=ROWS)
    return page(
        request,
        "console/audit.html",
        "console/_audit.html",
        page=found,
        chosen=chosen,
        chips=chosen.chips(),
        kept=chosen.kept(by_form=frozenset({"q", "action", "decision"})),
        decisions=DECISIONS,
        bare=request.path,
    )


@signed_in
@require_GET
def audit_entry(request: HttpRequest, seq: int) -> HttpResponse:
    """One entry: who, what, where, before and after, and its place in the chain."""
    entry = trail.entry_visible_to(actor_of(request), seq)
    return page(request, "console/entry.html", "console/_entry.html", entry=entry, body=payload(entry))


@require_GET
def favicon(request: HttpRequest) -> HttpResponse:
    """The mark, for pages that name no icon of their own."""
    return redirect(static("img/mark.svg"))


def _filtered(entries: QuerySet[Entry], chosen: Filters) -> QuerySet[Entry]:
    terms = Q()
    if chosen["q"]:
        terms &= Q(actor_ref__icontains=chosen["q"])
    if chosen["action"]:
        terms &= Q(action__startswith=chosen["action"])
    if chosen["decision"]:
        terms &= Q(decision=chosen["decision"])
    if chosen["ou"]:
        terms &= Q(ou_path__startswith=f"{chosen['ou'].rstrip('/')}/")
    if chosen["target"]:
        terms &= Q(target_id=_id(chosen["target"]))
    if chosen["request"]:
        terms &= Q(request_id=chosen["request"])
    return entries.filter(terms)


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
