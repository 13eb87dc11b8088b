"""The overview: what needs this person now, what happened last, how the recent days went, and the first steps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any  # template context
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts import queries as directory
from accounts import trail
from agents.kinds import SyncKind
from agents.queries.lists import Stuck, convergence_since, stuck, sync_counts
from approvals import queries as approvals
from approvals.exposure import names
from powerloom.console.charts import Chart, daily, days_back
from powerloom.console.templatetags.parts import duration
from powerloom.kernel.refs import Actor
from powerloom.reconcile.status import SyncStatus
from powerloom.web.answers import actor_of
from powerloom.web.pages import is_fragment, page, signed_in
from sessions.lists import daily_counts, sessions_matching, status_counts

LATEST = 8
MOST_NEEDS = 8  # of one kind; the rest is a link away
DAYS = 14
SOON = timedelta(days=14)


@dataclass(frozen=True)
class Need:
    """One thing that waits for somebody: in which state, what, where to go, and since when."""

    family: str
    state: str
    text: str
    url: str
    since: datetime | None = None
    note: str = ""


@dataclass(frozen=True)
class Step:
    """One of the first steps; `done` is observed, never clicked."""

    text: str
    url: str
    done: bool


@signed_in
@require_GET
def home(request: HttpRequest) -> HttpResponse:
    """What waits for this person, what happened last, and how the recent days went."""
    actor = actor_of(request)
    agents, sessions = sync_counts(actor), status_counts(actor)
    is_live = bool(agents[SyncStatus.SYNCED])
    steps = _steps(actor, has_agent=any(agents.values()), is_live=is_live, has_run=any(sessions.values()))
    context: dict[str, Any] = {
        "needs": _needs(actor),
        "agents": [(word, count) for word, count in agents.items() if count],
        "sessions": [(word, count) for word, count in sessions.items() if count],
        "rows": sessions_matching(actor).order_by("-id")[:LATEST],
        "entries": trail.entries_visible_to(actor).order_by("-seq")[:LATEST],
        "steps": steps if not all(step.done for step in steps) else [],
    }
    if not is_fragment(request):
        context["charts"] = _charts(actor)
    return page(request, "console/home.html", "console/_home.html", **context)


def _needs(actor: Actor) -> list[Need]:
    if actor.organization_id is None:
        return []
    return [*_approvals(actor), *_stuck(actor), *_degraded(actor), *_tokens(actor)]


def _approvals(actor: Actor) -> list[Need]:
    asks = list(approvals.to_approve(actor).order_by("-pk")[:MOST_NEEDS])
    named = names(actor, asks)
    return [
        Need(
            "approval",
            "pending",
            f"{ask.action} {named[ask.pk]}",
            reverse("approvals:detail", args=[ask.pk]),
            ask.created_at,
            f"asked by {ask.requester_ref}",
        )
        for ask in asks
    ]


def _stuck(actor: Actor) -> list[Need]:
    return [Need("sync", one.state, one.name, _place_of(one), one.since, one.why) for one in stuck(actor, MOST_NEEDS)]


def _place_of(one: Stuck) -> str:
    rooms = {SyncKind.AGENT: "agents:detail", SyncKind.SKILL: "agents:skill"}
    address = reverse(rooms[one.kind], args=[one.id])
    return f"{address}?{urlencode({'tab': 'sync'})}" if one.kind == SyncKind.AGENT else address


def _degraded(actor: Actor) -> list[Need]:
    recent = sessions_matching(actor, flagged=True).filter(changed_at__gte=timezone.now() - timedelta(days=7))
    return [
        Need(
            "health",
            "degraded",
            session.title or session.prompt[:80],
            reverse("sessions:detail", args=[session.id]),
            session.changed_at,
            "ran without its tools",
        )
        for session in recent.order_by("-id")[:MOST_NEEDS]
    ]


def _tokens(actor: Actor) -> list[Need]:
    assert actor.id is not None, "the console's actor is a person"
    now = timezone.now()
    live = directory.tokens_of(actor, actor.id).filter(revoked_at__isnull=True, expires_at__range=(now, now + SOON))
    return [
        Need("token", "expiring", token.name, reverse("settings:tokens"), None, f"until {token.expires_at:%Y-%m-%d}")
        for token in live.order_by("expires_at")[:MOST_NEEDS]
    ]


def _steps(actor: Actor, *, has_agent: bool, is_live: bool, has_run: bool) -> list[Step]:
    if actor.organization_id is None:
        return []
    ous, people = directory.ous_visible_to(actor)[:2], directory.users_visible_to(actor)[:2]
    return [
        Step("Divide the organization into OUs", reverse("organization:tree"), len(ous) > 1),
        Step("Let somebody else in", reverse("organization:users"), len(people) > 1),
        Step("Declare an agent", reverse("agents:list"), has_agent),
        Step("See it live on the runtime", reverse("agents:list"), is_live),
        Step("Invoke it and follow its session", reverse("sessions:list"), has_run),
        Step(
            "Have a policy hold what two people should see",
            reverse("approvals:list"),
            approvals.policies_visible_to(actor).exists(),
        ),
    ]


def _charts(actor: Actor) -> list[Chart]:
    today = timezone.now().date()
    days = days_back(today, DAYS)
    since = datetime.combine(days[0], datetime.min.time(), tzinfo=timezone.get_current_timezone())
    counted = daily_counts(actor, since)
    took = _medians(convergence_since(actor, since))
    by = {name: {row["day"]: row[name] for row in counted} for name in ("sessions", "mcp_calls", "failures")}
    usual = median(took.values()) if took else None
    return [
        daily("Sessions", by["sessions"], days, figure=f"{sum(by['sessions'].values()):,}"),
        daily("MCP tool calls", by["mcp_calls"], days, figure=f"{sum(by['mcp_calls'].values()):,}", tone="held"),
        daily("Failures", by["failures"], days, figure=f"{sum(by['failures'].values()):,}", tone="bad"),
        daily("Time to converge", took, days, figure=duration(usual), tone="ok", said=duration),
    ]


def _medians(took: list[tuple[datetime, float]]) -> dict[date, float]:
    by_day: dict[date, list[float]] = {}
    for at, seconds in took:
        by_day.setdefault(at.date(), []).append(seconds)
    return {day: median(values) for day, values in by_day.items()}
