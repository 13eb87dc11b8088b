"""Routes of `/v1/sessions/{id}/events`: send, list, stream."""

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from powerloom.cma.local import pages
from powerloom.cma.local.answers import call_id, refusal
from powerloom.cma.local.bodies.base import Body
from powerloom.cma.local.bodies.event import (
    Send,
    UserCustomToolResult,
    UserDefineOutcome,
    UserToolConfirmation,
    UserToolResult,
)
from powerloom.cma.local.errors import invalid
from powerloom.cma.local.runtime import Runtime, runtime
from powerloom.cma.local.sse import EventStream
from powerloom.cma.types import JSON

PREVIEWED = frozenset({"agent.message", "agent.thinking"})
MOST_PREVIEWS = 100
MOST_TYPES = 100

TYPES = frozenset(
    [
        "user.message",
        "user.interrupt",
        "user.tool_confirmation",
        "user.custom_tool_result",
        "user.tool_result",
        "user.define_outcome",
        "system.message",
        "agent.message",
        "agent.thinking",
        "agent.tool_use",
        "agent.tool_result",
        "agent.mcp_tool_use",
        "agent.mcp_tool_result",
        "agent.custom_tool_use",
        "agent.thread_message_sent",
        "agent.thread_message_received",
        "agent.thread_context_compacted",
        "session.status_running",
        "session.status_idle",
        "session.status_rescheduled",
        "session.status_terminated",
        "session.thread_created",
        "session.thread_status_running",
        "session.thread_status_idle",
        "session.thread_status_rescheduled",
        "session.thread_status_terminated",
        "session.updated",
        "session.usage",
        "session.error",
        "span.model_request_start",
        "span.model_request_end",
        "span.outcome_evaluation_start",
        "span.outcome_evaluation_ongoing",
        "span.outcome_evaluation_end",
        "workflow_run.created",
        "workflow_run.status_running",
        "workflow_run.status_idle",
        "workflow_run.status_ended",
        "workflow_run.error",
        "workflow_run.phase_started",
        "workflow_run.phase_ended",
    ]
)
"""What `types[]` may name."""


async def send(request: Request) -> Response:
    """POST …/events: all of them, or none when one is wrong."""
    body = await Send.of(request)
    run = runtime(request)
    session = run.load("session", request.path_params["id"])
    if session["status"] == "terminated":
        raise invalid("The session is terminated and takes no more events")
    _check(run, session, body.events)
    return JSONResponse({"data": run.engine.send(session["id"], body.events)})


async def list_events(request: Request) -> Response:
    """GET …/events, oldest first unless `order=desc`."""
    query = request.query_params
    run = runtime(request)
    session_id = run.load("session", request.path_params["id"])["id"]
    size = pages.limit(query, default=1000, most=1000)
    ascending = pages.choice(query, "order", ("asc", "desc"), "asc") == "asc"
    scope = f"events/{session_id}"
    start = pages.cursor(query, scope, ascending=ascending)
    rows = run.store.events(
        session_id,
        limit=size,
        after=pages.after(start),
        ascending=ascending,
        where=[*pages.times(query, "at"), *_types(pages.many(query, "types"))],
    )
    return pages.page(rows, size, scope, ascending=ascending)


async def stream(request: Request) -> Response:
    """GET …/events/stream: events from now on."""
    asked = pages.many(request.query_params, "event_deltas")
    if len(asked) > MOST_PREVIEWS or not PREVIEWED.issuperset(asked):
        raise invalid("event_deltas: only agent.message and agent.thinking can be previewed")
    run = runtime(request)
    session = run.load("session", request.path_params["id"])
    return EventStream(run.hub, session["id"], frozenset(asked), over=session["status"] == "terminated")


def _types(asked: list[str]) -> pages.Conditions:
    if not asked:
        return []
    if len(asked) > MOST_TYPES or not TYPES.issuperset(asked):
        raise invalid(f"types: '{min(set(asked) - TYPES or asked)}' is not an event type")
    return [(f"type IN ({', '.join('?' * len(asked))})", tuple(asked))]


def _check(run: Runtime, session: JSON, events: Sequence[Body]) -> None:
    turn = run.store.turn(session["id"])
    state = turn[1] if turn else None
    seen: set[str] = set()
    for event in events:
        match event:
            case UserToolConfirmation() | UserCustomToolResult():
                call = run.store.event(session["id"], call_id(event))
                problem = refusal(event, call, state)
                if problem is None and call_id(event) in seen:
                    problem = invalid(f"{call_id(event)} is answered twice")
                if problem is not None:
                    raise problem
                seen.add(call_id(event))
            case UserToolResult():
                raise invalid("user.tool_result is for self-hosted environments; this server runs none")
            case UserDefineOutcome():
                raise invalid("user.define_outcome: this server has no outcomes")


ROUTES = [
    Route("/v1/sessions/{id}/events", send, methods=["POST"]),
    Route("/v1/sessions/{id}/events", list_events, methods=["GET"]),
    Route("/v1/sessions/{id}/events/stream", stream, methods=["GET"]),
]
