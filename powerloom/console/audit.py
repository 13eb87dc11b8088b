"""The audit room: the trail with its filters, one entry, and the chain as a whole: its head, its proof, its export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import groupby
from typing import Any  # template context
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_GET

from accounts import chain, queries, trail
from accounts.actions import Action
from accounts.reasons import reasons_against
from powerloom.audit.models import Entry
from powerloom.audit.queries import payload
from powerloom.kernel.errors import Unavailable
from powerloom.web.answers import actor_of
from powerloom.web.filters import Filters
from powerloom.web.lines import weave
from powerloom.web.lists import page_of
from powerloom.web.pages import fragment, page, signed_in

ROWS = 50
DECISIONS = [("allowed", "Allowed"), ("denied", "Denied"), ("not_found", "Hidden"), ("recorded", "Recorded")]


@dataclass(frozen=True)
class Burst:
    """Entries in a row that one request made; `size` says how many of them stand on this page."""

    request_id: str
    entries: list[Entry]

    @property
    def size(self) -> int:
        return len(self.entries)


@signed_in
@require_GET
def audit(request: HttpRequest) -> HttpResponse:
    """The audit trail, newest first, what one request made together."""
    chosen = Filters(
        request,
        q="Actor",
        action="Action",
        decision="Decision",
        since="From",
        until="To",
        ou="OU",
        target="Target",
        request="Request",
    )
    found = page_of(request, _filtered(trail.entries_visible_to(actor_of(request)), chosen), size=ROWS, key="seq")
    return page(
        request,
        "console/audit.html",
        "console/_audit.html",
        page=found,
        bursts=list(_bursts(found.rows)),
        chosen=chosen,
        chips=chosen.chips(),
        kept=chosen.kept(by_form=frozenset({"q", "action", "decision", "since", "until", "target"})),
        decisions=DECISIONS,
        bare=request.path,
        line=weave("audit", "list"),
        tabs=_tabs("console:audit"),
    )


@signed_in
@require_GET
def audit_entry(request: HttpRequest, seq: int) -> HttpResponse:
    """One entry: who, what, where, before and after, and its place in the chain."""
    entry = trail.entry_visible_to(actor_of(request), seq)
    return page(request, "console/entry.html", "console/_entry.html", entry=entry, body=payload(entry))


@signed_in
@require_GET
def audit_chain(request: HttpRequest) -> HttpResponse:
    """Where the chain ends, the newest signed head, and what one may do with all of it."""
    actor = actor_of(request)
    root = queries.root_of(actor).target()
    refusals = reasons_against(actor, root, [Action.AUDIT_READ, Action.AUDIT_EXPORT])
    context: dict[str, Any] = {
        "refusals": {"verify": refusals[Action.AUDIT_READ], "export": refusals[Action.AUDIT_EXPORT]},
        "tabs": _tabs("console:audit_chain"),
        "line": "python -m powerloom.audit.offline audit.jsonl --public-key head.pub",
    }
    if not refusals[Action.AUDIT_READ]:
        try:
            context["ends"] = chain.ends(actor)
        except Unavailable as error:
            context["broken"] = error.message
    return page(request, "console/chain.html", "console/_chain.html", **context)


@signed_in
@require_GET
def audit_verify(request: HttpRequest) -> HttpResponse:
    """Verify the whole chain against the signed heads, and say what came of it."""
    _, verdict = chain.verified(actor_of(request))
    return fragment(request, "console/_verdict.html", verdict=verdict)


@signed_in
@require_GET
def audit_export(request: HttpRequest) -> HttpResponseBase:
    """Download the whole chain as a file that proves itself."""
    return chain.exported(request, actor_of(request))


def _bursts(entries: Sequence[Entry]) -> Iterator[Burst]:
    # An entry without a request stands alone.
    for _, some in groupby(entries, key=lambda entry: entry.request_id or entry.pk):
        rows = list(some)
        yield Burst(rows[0].request_id, rows)


def _filtered(entries: QuerySet[Entry], chosen: Filters) -> QuerySet[Entry]:
    terms = Q()
    if chosen["q"]:
        terms &= Q(actor_ref__icontains=chosen["q"])
    if chosen["action"]:
        terms &= Q(action__startswith=chosen["action"])
    if chosen["decision"]:
        terms &= Q(decision=chosen["decision"])
    if since := _day(chosen["since"]):
        terms &= Q(created_at__gte=since)
    if until := _day(chosen["until"]):
        terms &= Q(created_at__lt=until + timedelta(days=1))
    if chosen["ou"]:
        terms &= Q(ou_path__startswith=f"{chosen['ou'].rstrip('/')}/")
    if chosen["target"]:
        terms &= _about(chosen["target"])
    if chosen["request"]:
        terms &= Q(request_id=chosen["request"])
    return entries.filter(terms)


def _about(text: str) -> Q:
    try:
        return Q(target_id=UUID(text))
    except ValueError:
        return Q(target_name__icontains=text) | Q(target_kind=text)


def _day(text: str) -> datetime | None:
    """Return the beginning of a day (UTC); what is no day chooses nothing."""
    try:
        day = parse_date(text)
    except ValueError:
        return None
    return datetime.combine(day, time.min, tzinfo=UTC) if day else None


def _tabs(current: str) -> list[dict[str, Any]]:
    views = {"console:audit": "Entries", "console:audit_chain": "Chain"}
    return [{"name": word, "url": reverse(view), "current": view == current} for view, word in views.items()]
