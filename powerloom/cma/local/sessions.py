"""Routes of `/v1/sessions`.

A session holds a copy of its agent as it was when the session was made, with the overrides it was made with.
"""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from powerloom.cma.local import pages, resources
from powerloom.cma.local.agents import agent_text, check_parts, skills_wire
from powerloom.cma.local.bodies.agent import model_wire
from powerloom.cma.local.bodies.base import patched
from powerloom.cma.local.bodies.session import AgentRef, AgentWithOverrides, SessionCreate, SessionUpdate
from powerloom.cma.local.errors import ApiError, invalid
from powerloom.cma.local.ids import new_id, now
from powerloom.cma.local.runtime import Runtime, runtime
from powerloom.cma.local.store import Query, Store
from powerloom.cma.types import JSON

STATUSES = ("rescheduling", "running", "idle", "terminated")
MOVING = ("running", "rescheduling")
NOT_IN_SNAPSHOT = ("metadata", "created_at", "updated_at", "archived_at")


async def create(request: Request) -> Response:
    """POST /v1/sessions. Starts running at once when it brings its first events."""
    body = await SessionCreate.of(request)
    run = runtime(request)
    agent = _snapshot(run, body.agent)
    _check_environment(run, body.environment_id)
    _check_vaults(run.store, body.vault_ids)
    moment = now()
    session: JSON = {
        "id": new_id("sesn"),
        "type": "session",
        "status": "idle",
        "agent": agent,
        "environment_id": body.environment_id,
        "title": body.title,
        "metadata": body.metadata,
        "vault_ids": body.vault_ids,
        "resources": [resources.new(run.store, resource, moment) for resource in body.resources],
        "outcome_evaluations": [],
        "stats": {"active_seconds": 0.0, "duration_seconds": 0.0},
        "usage": {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0},
        "budget": body.budget.wire() if body.budget else None,
        "created_at": moment,
        "updated_at": moment,
        "archived_at": None,
        "deployment_id": None,
    }
    with run.store.transaction():
        run.store.insert("session", session, parent=agent["id"])
        run.engine.accept(session, body.initial_events)
    run.engine.wake(session["id"])
    return JSONResponse(run.load("session", session["id"]))


async def retrieve(request: Request) -> Response:
    """GET /v1/sessions/{id}."""
    return JSONResponse(runtime(request).load("session", request.path_params["id"]))


async def update(request: Request) -> Response:
    """POST /v1/sessions/{id}: title, metadata, budget, and tools and servers of its own copy of the agent."""
    body = await SessionUpdate.of(request)
    run = runtime(request)
    before = run.load("session", request.path_params["id"])
    if body.vault_ids is not None:
        raise invalid("vault_ids: cannot be changed")
    if before["status"] == "terminated":
        raise invalid("The session is terminated and cannot be changed")
    changes = _changes(body, before)
    if changes:
        run.engine.update(before["id"], changes)
    return JSONResponse(run.load("session", before["id"]))


async def archive(request: Request) -> Response:
    """POST /v1/sessions/{id}/archive: terminates it. Refused while it runs."""
    run = runtime(request)
    session = _at_rest(run, request.path_params["id"])
    if session["archived_at"] is None:
        run.engine.archive(session["id"])
    return JSONResponse(run.load("session", session["id"]))


async def delete(request: Request) -> Response:
    """DELETE /v1/sessions/{id}: with its events. Refused while it runs."""
    run = runtime(request)
    session = _at_rest(run, request.path_params["id"])
    run.engine.delete(session["id"])
    return JSONResponse({"id": session["id"], "type": "session_deleted"})


async def list_sessions(request: Request) -> Response:
    """GET /v1/sessions: the one list that pages both ways."""
    query = request.query_params
    size = pages.limit(query, default=20, most=1000)
    ascending = pages.choice(query, "order", ("asc", "desc"), "desc") == "asc"
    start = pages.cursor(query, "sessions", ascending=ascending)
    back = start is not None and start.back
    rows = runtime(request).store.find(
        Query(
            "session",
            size,
            parent=query.get("agent_id") or None,
            after=pages.after(start),
            ascending=ascending != back,
            include_archived=pages.flag(query, "include_archived"),
            where=[*pages.times(query, "created_at"), *_filters(request)],
        )
    )
    return pages.two_way_page(rows, size, "sessions", ascending=ascending, start=start)


def _filters(request: Request) -> pages.Conditions:
    query = request.query_params
    found: pages.Conditions = []
    version = pages.number(query, "agent_version", default=None, least=1)
    if version is not None and query.get("agent_id"):
        found.append(("json_extract(doc, '$.agent.version') = ?", (version,)))
    statuses = pages.many(query, "statuses")
    if unknown := set(statuses) - set(STATUSES):
        raise invalid(f"statuses: '{min(unknown)}' is not a status")
    if statuses:
        found.append((f"status IN ({', '.join('?' * len(statuses))})", tuple(statuses)))
    if query.get("deployment_id") or query.get("memory_store_id"):
        found.append(("0", ()))  # there are no deployments and memory stores here
    return found


def _snapshot(run: Runtime, given: str | AgentRef | AgentWithOverrides) -> JSON:
    ref = AgentRef(type="agent", id=given) if isinstance(given, str) else given
    newest = run.load("agent", ref.id)
    if newest["archived_at"] is not None:
        raise invalid("agent: the agent is archived")
    agent: JSON = json.loads(agent_text(run.store, ref.id, ref.version))
    for field in NOT_IN_SNAPSHOT:
        del agent[field]
    if isinstance(ref, AgentWithOverrides):
        agent |= _overrides(run.store, ref, agent)
        check_parts(agent)
    return agent


def _overrides(store: Store, ref: AgentWithOverrides, agent: JSON) -> JSON:
    given = ref.given()
    changes: JSON = {}
    if "model" in given:
        changes["model"] = model_wire(ref.model, agent["model"])
    if "system" in given:
        changes["system"] = ref.system or None
    if "skills" in given:
        changes["skills"] = skills_wire(store, ref.skills or [])
    for field in ("tools", "mcp_servers"):
        if field in given:
            changes[field] = [part.wire() for part in given[field] or []]
    return changes


def _changes(body: SessionUpdate, before: JSON) -> JSON:
    """The fields whose value becomes another one."""
    given = body.given()
    after: dict[str, Any] = {}
    if "title" in given:
        after["title"] = body.title
    if "metadata" in given:
        after["metadata"] = patched(before["metadata"], body.metadata)
    if "budget" in given:
        if before["budget"] is None and body.budget is not None:
            raise ApiError(400, "invalid_request_error", "budget: can only be set at create", code="budget_create_only")
        after["budget"] = body.budget.wire() if body.budget else None
    if body.agent is not None:
        if before["status"] in MOVING:
            raise invalid("agent: cannot be changed while the session is running")
        parts = {field: [part.wire() for part in value or []] for field, value in body.agent.given().items()}
        after["agent"] = {**before["agent"], **parts}
        check_parts(after["agent"])
    return {field: value for field, value in after.items() if before[field] != value}


def _at_rest(run: Runtime, id: str) -> JSON:
    session = run.load("session", id)
    if session["status"] in MOVING:
        raise invalid("The session is running: interrupt it first")
    return session


def _check_environment(run: Runtime, id: str) -> None:
    if run.load("environment", id)["archived_at"] is not None:
        raise invalid("environment_id: the environment is archived", code="environment_archived")


def _check_vaults(store: Store, ids: list[str]) -> None:
    for id in ids:
        vault = store.get("vault", id)
        if vault is None or vault["archived_at"] is not None:
            raise invalid(f"vault_ids: {id} was not found or is archived")


ROUTES = [
    Route("/v1/sessions", create, methods=["POST"]),
    Route("/v1/sessions", list_sessions, methods=["GET"]),
    Route("/v1/sessions/{id}", retrieve, methods=["GET"]),
    Route("/v1/sessions/{id}", update, methods=["POST"]),
    Route("/v1/sessions/{id}", delete, methods=["DELETE"]),
    Route("/v1/sessions/{id}/archive", archive, methods=["POST"]),
]
