"""REST routes of sessions: invoke, follow, go on, end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal  # Any: rows as JSON
from uuid import UUID

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from ninja import Field, Query, Router, Schema

from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor
from powerloom.web.answers import actor_of, perform
from powerloom.web.lists import listing
from sessions import chats, delegation_api, queries, tickets
from sessions.commands import (
    CloseSession,
    ConfirmToolUse,
    DeleteSession,
    InterruptSession,
    InvokeAgent,
    RenameSession,
    SendMessage,
)
from sessions.commands.calls import ConfirmFields
from sessions.commands.ends import RenameFields
from sessions.commands.entries import MessageFields
from sessions.commands.invoke import InvokeFields
from sessions.models import AgentSession, Mode, Status
from sessions.queries import ALIVE, Filters
from sessions.rows import (
    EventOut,
    InvokedOut,
    SessionDetailOut,
    SessionOut,
    TicketOut,
    event_row,
    session_row,
    session_rows,
)
from sessions.waiting import mark

router = Router(tags=["sessions"])
router.add_router("", delegation_api.router)

CREATED = 201
SESSION = "/sessions/{uuid:session_id}"


class SessionFilter(Schema):
    """`ou_id` is exactly that OU; `since` and `until` are about when the session was asked for; `active`: it may go
    on.
    """

    agent_id: UUID | None = None
    ou_id: UUID | None = None
    status: Status | Literal["active"] | None = None
    degradation_flagged: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    def filters(self) -> Filters:
        """Return them as the query takes them."""
        chosen: Sequence[str] | None = ALIVE if self.status == "active" else [self.status] if self.status else None
        return Filters(**self.model_dump(exclude={"status"}), statuses=chosen)


class EventPage(Schema):
    """The events after a number, at most so many."""

    after_seq: int = Field(0, ge=0, le=2**31)
    limit: int = Field(100, ge=1, le=500)


@router.post("/agents/{uuid:agent_id}/invoke", response={CREATED: InvokedOut}, summary="Start a session of an agent")
def invoke(request: HttpRequest, agent_id: UUID, body: InvokeFields) -> HttpResponse:
    command = InvokeAgent(id=new_id(), agent_id=agent_id, **body.model_dump())
    response = perform(request, command, render=_invoked, find=queries.session_for_read, created=True)
    return _kept_until_its_end(response, actor_of(request)) if body.mode == Mode.SYNC else response


@router.get("/sessions", response=list[SessionOut], summary="List sessions")
@router.get("/agent-sessions", response=list[SessionOut], include_in_schema=False, url_name="agent_sessions")
def list_sessions(request: HttpRequest, wanted: Query[SessionFilter]) -> HttpResponseBase:
    found = queries.sessions_visible_to(actor_of(request)).filter(wanted.filters().terms())
    return listing(request, found, session_rows)


@router.get(SESSION, response=SessionDetailOut, summary="Get a session")
def get_session(request: HttpRequest, session_id: UUID) -> HttpResponse:
    session = queries.session_for_read(actor_of(request), session_id)
    return JsonResponse({**session_row(session), "powerloom_servers": sorted(chats.meta_names(session.agent_id))})


@router.get(f"{SESSION}/events", response=list[EventOut], summary="Read a session's events in order")
def list_events(request: HttpRequest, session_id: UUID, page: Query[EventPage]) -> HttpResponse:
    session = queries.session_for_read(actor_of(request), session_id)
    events = queries.events_after(session, page.after_seq, limit=page.limit)
    return JsonResponse([event_row(event) for event in events], safe=False)


@router.post(
    f"{SESSION}/tickets",
    response={CREATED: TicketOut},
    summary="Get a new ticket for the session's socket",
    openapi_extra={"x-ungoverned": True},  # it changes nothing that is governed, so it is neither tried nor held
)
def new_ticket(request: HttpRequest, session_id: UUID) -> HttpResponse:
    actor = actor_of(request)
    session = queries.session_for_read(actor, session_id)
    return JsonResponse(_ticket(session, actor), status=CREATED)


@router.post(f"{SESSION}/messages", response=SessionOut, summary="Go on with a session; waits while it runs")
def send_message(request: HttpRequest, session_id: UUID, body: MessageFields) -> HttpResponse:
    key = request.headers.get("Idempotency-Key", "")[:200] or str(new_id())
    return _changed(request, SendMessage(session_id=session_id, key=key, text=body.text))


@router.post(f"{SESSION}/confirmations", response=SessionOut, summary="Answer a tool call that asks")
def confirm(request: HttpRequest, session_id: UUID, body: ConfirmFields) -> HttpResponse:
    return _changed(request, ConfirmToolUse(session_id=session_id, **body.model_dump()))


@router.post(f"{SESSION}/interrupt", response=SessionOut, summary="Stop what the agent does now")
def interrupt(request: HttpRequest, session_id: UUID) -> HttpResponse:
    return _changed(request, InterruptSession(session_id=session_id))


@router.post(f"{SESSION}/close", response=SessionOut, summary="End a session and keep its events")
def close(request: HttpRequest, session_id: UUID) -> HttpResponse:
    return _changed(request, CloseSession(session_id=session_id))


@router.patch(SESSION, response=SessionOut, summary="Give a session another title")
def rename(request: HttpRequest, session_id: UUID, body: RenameFields) -> HttpResponse:
    return _changed(request, RenameSession(session_id=session_id, title=body.title))


@router.delete(SESSION, response={204: None}, summary="Remove a session and its events, here and on the runtime")
def delete(request: HttpRequest, session_id: UUID) -> HttpResponse:
    return perform(request, DeleteSession(session_id=session_id), render=None)


def _changed(request: HttpRequest, command: Any) -> HttpResponse:
    return perform(request, command, render=session_row, find=queries.session_for_read)


def _invoked(session: AgentSession, actor: Actor) -> dict[str, Any]:
    ticket = {"ws_ticket": None, "ws_url": None} if session.mode == Mode.SYNC else _ticket(session, actor)
    return {"session_id": str(session.id), "status": session.status, "mode": session.mode, **ticket}


def _ticket(session: AgentSession, actor: Actor) -> dict[str, Any]:
    ticket = tickets.mint(session, actor)
    return {"session_id": str(session.id), "ws_ticket": ticket, "ws_url": tickets.url_of(session.id, ticket)}


def _kept_until_its_end(response: HttpResponse, actor: Actor) -> HttpResponse:
    """Mark the answer for `sessions.waiting`; a hold or a dry run is answered at once."""
    if response.status_code != CREATED:
        return response
    return mark(response, UUID(_body(response)["session_id"]), actor)


def _body(response: HttpResponse) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(response.content)
    return body
