"""Console views of sessions: the list, one session live and replayed, invoking an agent, and what one may do to a
session.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any  # template context
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.law import shown
from agents.queries import agent_for_invoke, agent_for_read
from powerloom.kernel.errors import Invalid, NotFound
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.filters import Filters
from powerloom.web.lines import weave
from powerloom.web.lists import page_of, streamed
from powerloom.web.pages import fragment, go, page, signed_in
from powerloom.web.submitting import Then, performed, submitted
from sessions import inspecting, lists, queries
from sessions.archive import archive
from sessions.commands import CloseSession, DeleteSession, InterruptSession
from sessions.forms import ConfirmForm, InvokeForm, MessageForm, RenameForm
from sessions.lists import WAITING
from sessions.models import AgentSession, Status
from sessions.obstacles import obstacles
from sessions.replay import event_of, is_seq, lanes_of, stretch, waiting_inputs

ROWS = 50
FEW = 20
STATUSES = [
    (Status.PENDING, "Pending"),
    (Status.RUNNING, "Running"),
    (WAITING, "Waiting for approval"),
    (Status.IDLE_END_TURN, "Idle"),
    (Status.TERMINATED, "Terminated"),
    (Status.TIMEOUT, "Timed out"),
    (Status.FAILED, "Failed"),
]
WORDS = {str(status): word for status, word in STATUSES}
KEYS = (
    ("+", "Look closer at the minimap"),
    ("-", "See more of it"),
    ("0", "See all of it"),
    ("[", "Earlier"),
    ("]", "Later"),
)
AGES = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
SINCE = {"hour": "Last hour", "day": "Last day", "week": "Last week"}


@signed_in
@require_GET
def session_list(request: HttpRequest) -> HttpResponse:
    """The sessions that one may see, newest first."""
    chosen = Filters(
        request, q="Text", status="Status", flagged="Silent degradation", since="Started", agent="Agent", ou="OU"
    )
    rows = lists.sessions_matching(
        actor_of(request),
        text=chosen["q"],
        status=chosen["status"],
        agent=chosen["agent"],
        under=chosen["ou"],
        flagged=bool(chosen["flagged"]),
        since=AGES.get(chosen["since"]),
    )
    return page(
        request,
        "sessions/list.html",
        "sessions/_list.html",
        page=page_of(request, rows, size=ROWS),
        chosen=chosen,
        chips=chosen.chips(
            status=lambda status: WORDS.get(status, status),
            since=lambda age: SINCE.get(age, age),
            flagged=lambda _: "yes",
        ),
        kept=chosen.kept(by_form=frozenset({"q", "status", "since", "flagged"})),
        statuses=STATUSES,
        ages=SINCE.items(),
        bare=request.path,
        line=_asking("code-reviewer"),
    )


@signed_in
@require_GET
def sessions_of_agent(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """The newest sessions of one agent, for its page."""
    agent = agent_for_read(actor_of(request), agent_id)
    rows = lists.sessions_matching(actor_of(request), agent=str(agent.id))
    found = page_of(request, rows, size=FEW)
    line = _asking(f"{shown(agent.ou.path)}/{agent.name}")
    return fragment(request, "sessions/_of_agent.html", page=found, agent_id=agent.id, line=line)


@signed_in
@require_http_methods(["GET", "POST"])
def invoke(request: HttpRequest, agent_id: UUID) -> HttpResponse:
    """Start a session: the dialog by GET, the deed by POST."""
    agent = agent_for_invoke(actor_of(request), agent_id)
    if request.method == "GET":
        return fragment(request, "sessions/_invoke_dialog.html", agent=agent, form=InvokeForm(), dialog_id="invoke")
    form = InvokeForm(request.POST, given={"id": new_id(), "agent_id": agent_id})
    return submitted(request, form, "sessions/_invoke.html", then=_to_session(request), agent=agent)


@signed_in
@require_GET
def session_detail(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """One session: what has happened so far, and a socket for what comes."""
    session = queries.session_for_read(actor_of(request), session_id)
    event = request.GET.get("event", "")
    pane = request.GET.get("pane", "")
    context = _page(request, session) | {
        "transcript": stretch(session, actor=actor_of(request), raw=_is_raw(request)),
        "form": MessageForm(),
        "rename_form": RenameForm(initial={"title": session.title or ""}),
        "tabs": _tabs(session, raw=_is_raw(request)),
        "event": event_of(session, int(event)) if is_seq(event) else None,
        "panes": inspecting.links(session, pane),
        "keys": KEYS,
        "pane_template": inspecting.PANES[pane].template if pane in inspecting.PANES else "",
    }
    if pane in inspecting.PANES:
        context |= inspecting.PANES[pane].context(actor_of(request), session)
    return fragment(request, "sessions/session.html", **context)


@signed_in
@require_GET
def session_news(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """What came after `?after_seq=`, and the parts of the page that change with it."""
    session = queries.session_for_read(actor_of(request), session_id)
    after = request.GET.get("after_seq", "0")
    if not is_seq(after):
        raise Invalid("after_seq is the number of an event.", field="after_seq")
    news = stretch(session, actor=actor_of(request), after_seq=int(after), raw=_is_raw(request))
    return fragment(request, "sessions/_live.html", **_page(request, session), transcript=news)


@signed_in
@require_GET
def session_event(request: HttpRequest, session_id: UUID, seq: int) -> HttpResponse:
    """One event as the runtime sent it."""
    session = queries.session_for_read(actor_of(request), session_id)
    event = event_of(session, seq)
    return fragment(
        request, "sessions/_inspector.html", session=session, event=event, panes=inspecting.links(session, "")
    )


@signed_in
@require_GET
def session_pane(request: HttpRequest, session_id: UUID, pane: str) -> HttpResponse:
    """One pane of the inspector: tools, diagnosis or audit."""
    session = queries.session_for_read(actor_of(request), session_id)
    if pane not in inspecting.PANES:
        raise NotFound
    context = inspecting.PANES[pane].context(actor_of(request), session)
    return fragment(
        request,
        "sessions/_inspector.html",
        session=session,
        panes=inspecting.links(session, pane),
        pane_template=inspecting.PANES[pane].template,
        **context,
    )


@signed_in
@require_GET
def session_download(request: HttpRequest, session_id: UUID) -> HttpResponseBase:
    """The session and every event that is stored, as one JSON file."""
    session = queries.session_for_read(actor_of(request), session_id)
    response = streamed(request, archive(session))
    response.headers["Content-Disposition"] = f'attachment; filename="session-{session.id}.json"'
    return response


@signed_in
@require_POST
def message(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Write to the agent."""
    session = queries.session_for_read(actor_of(request), session_id)
    form = MessageForm(request.POST, given={"session_id": session_id})
    context = _page(request, session)

    def ready(row: AgentSession) -> HttpResponse:
        return fragment(request, "sessions/_composer.html", **context, form=MessageForm())

    return submitted(request, form, "sessions/_composer.html", then=ready, **context)


@signed_in
@require_POST
def rename(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Give the session another title."""
    session = queries.session_for_read(actor_of(request), session_id)
    form = RenameForm(request.POST, given={"session_id": session_id})
    return submitted(request, form, "sessions/_rename.html", then=_to_session(request), session=session)


@signed_in
@require_POST
def interrupt(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Stop the turn."""
    return performed(request, InterruptSession(session_id=session_id), saying="The agent is told to stop.")


@signed_in
@require_POST
def close(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """End the session and keep what it said."""
    return performed(request, CloseSession(session_id=session_id), saying="Closed.")


@signed_in
@require_POST
def delete(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Delete the session and all its events."""
    gone = reverse("sessions:list")
    command = DeleteSession(session_id=session_id)
    return performed(request, command, then=lambda _: go(request, gone, saying="Deleted. The audit entry stays."))


@signed_in
@require_POST
def confirm(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """Say yes or no to a tool call that waits for it."""
    form = ConfirmForm(request.POST, given={"session_id": session_id})
    if not form.is_valid():
        raise Invalid("Say which call, and allow or deny.")
    return performed(request, form.value, saying="Said. The agent goes on.")


def _to_session(request: HttpRequest) -> Then:
    return lambda session: go(request, reverse("sessions:detail", args=[session.id]))


def _page(request: HttpRequest, session: AgentSession) -> dict[str, Any]:
    """Return what the page and its news share."""
    return {
        "session": session,
        "state": WAITING if session.waiting_for else session.status,
        "refusals": obstacles(actor_of(request), session),
        "waiting": waiting_inputs(session),
        "lanes": lanes_of(session),
        "view": request.GET.get("view", ""),
    }


def _is_raw(request: HttpRequest) -> bool:
    return request.GET.get("view") == "events"


def _tabs(session: AgentSession, *, raw: bool) -> list[dict[str, Any]]:
    address = reverse("sessions:detail", args=[session.id])
    return [
        {"name": "Transcript", "url": address, "current": not raw},
        {"name": "Events", "url": f"{address}?view=events", "current": raw},
    ]


def _asking(agent: str) -> str:
    return weave("ask", agent, "Review PR #42.")
