"""Console views of conversations: begin one, follow it, write. A conversation is a session, drawn for talking."""

from __future__ import annotations

from typing import Any  # template context
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from powerloom.kernel.errors import Invalid
from powerloom.kernel.ids import new_id
from powerloom.web.answers import actor_of
from powerloom.web.lists import page_of
from powerloom.web.pages import fragment, go, signed_in
from powerloom.web.submitting import submitted
from sessions import chats, queries
from sessions.chats import Partner
from sessions.deeds import exchanges
from sessions.forms import ChatForm, MessageForm
from sessions.models import AgentSession
from sessions.obstacles import obstacles
from sessions.replay import Stretch, is_seq, stretch, waiting_inputs

FEW = 20
EXAMPLES = (
    "Set up a scoped sales-prospecting agent for Emma on the sales team with Apollo and Gmail access.",
    "What agents and MCP servers already exist in the engineering OU?",
    "Create a database analysis agent for the platform team with the pg-analytics server and the sql-review skill.",
    "Set up a code review agent for the engineering team.",
)


@signed_in
@require_http_methods(["GET", "POST"])
def start(request: HttpRequest) -> HttpResponse:
    """Choose whom to talk with and write the first message; by POST, begin."""
    partners = chats.partners_of(actor_of(request))
    chosen = _chosen(request, partners)
    context: dict[str, Any] = {
        "partners": partners,
        "agents_url": reverse("agents:list"),
        "chosen": chosen,
        "examples": EXAMPLES if chosen and chosen.is_meta else (),
        "page": page_of(request, chats.conversations_of(actor_of(request)), size=FEW),
    }
    if request.method == "GET":
        form = ChatForm(partners=partners, initial={"agent_id": chosen.id if chosen else None})
        return fragment(request, "sessions/chat/start.html", form=form, **context)
    form = ChatForm(request.POST, partners=partners, given={"id": new_id()})
    return submitted(
        request,
        form,
        "sessions/chat/_form.html",
        whole="sessions/chat/start.html",
        then=lambda session: go(request, reverse("chat:conversation", args=[session.id])),
        **context,
    )


@signed_in
@require_GET
def conversation(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """One conversation: what was said and done so far, and a socket for what comes."""
    session = queries.session_for_read(actor_of(request), session_id)
    told = stretch(session, actor=actor_of(request))
    return fragment(request, "sessions/chat/conversation.html", **_page(request, session, told), form=MessageForm())


@signed_in
@require_GET
def news(request: HttpRequest, session_id: UUID) -> HttpResponse:
    """What came after `?after_seq=`, and the parts of the page that change with it."""
    session = queries.session_for_read(actor_of(request), session_id)
    after = request.GET.get("after_seq", "0")
    if not is_seq(after):
        raise Invalid("after_seq is the number of an event.", field="after_seq")
    told = stretch(session, actor=actor_of(request), after_seq=int(after))
    return fragment(request, "sessions/chat/_news.html", **_page(request, session, told))


def _chosen(request: HttpRequest, partners: list[Partner]) -> Partner | None:
    """Return the agent that the address names, else the first."""
    asked = request.GET.get("agent", "")
    return next((agent for agent in partners if str(agent.id) == asked), next(iter(partners), None))


def _page(request: HttpRequest, session: AgentSession, told: Stretch) -> dict[str, Any]:
    """Return what the page and its news share."""
    servers = chats.meta_names(session.agent_id)
    return {
        "session": session,
        "state": "waiting_for_approval" if session.waiting_for else session.status,
        "refusals": obstacles(actor_of(request), session),
        "waiting": waiting_inputs(session),
        "transcript": told,
        "exchanges": exchanges(told.turns, servers=servers),
        "is_meta": bool(servers),
        "is_mine": session.invoked_by_id == actor_of(request).id,
    }
