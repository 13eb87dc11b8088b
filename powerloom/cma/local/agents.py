"""Routes of `/v1/agents`.

A version is written with every update that changes something; the agent's own document is its newest version.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from powerloom.cma.local import pages
from powerloom.cma.local.bodies.agent import AgentCreate, AgentUpdate, SkillRef, model_wire
from powerloom.cma.local.bodies.base import patched
from powerloom.cma.local.bodies.tools import check_servers
from powerloom.cma.local.errors import conflict, invalid
from powerloom.cma.local.ids import new_id, now
from powerloom.cma.local.runtime import missing, runtime
from powerloom.cma.local.store import Query, Store
from powerloom.cma.types import JSON

SERVICE_ACCOUNT = {"type": "service_account"}


async def create(request: Request) -> Response:
    """POST /v1/agents."""
    body = await AgentCreate.of(request)
    _refuse_multiagent(body.multiagent)
    store = runtime(request).store
    moment = now()
    agent: JSON = {
        "id": new_id("agent"),
        "type": "agent",
        "version": 1,
        "name": body.name,
        "description": body.description or None,
        "model": model_wire(body.model),
        "system": body.system or None,
        "tools": [tool.wire() for tool in body.tools],
        "mcp_servers": [server.wire() for server in body.mcp_servers],
        "skills": skills_wire(store, body.skills),
        "metadata": body.metadata,
        "multiagent": None,
        "execution_identity": body.execution_identity.wire() if body.execution_identity else SERVICE_ACCOUNT,
        "created_at": moment,
        "updated_at": moment,
        "archived_at": None,
    }
    check_parts(agent)
    with store.transaction():
        store.insert("agent", agent)
        _insert_version(store, agent)
    return _answer(store, agent["id"])


async def retrieve(request: Request) -> Response:
    """GET /v1/agents/{id}, at `?version=` when given."""
    version = pages.number(request.query_params, "version", default=None, least=1)
    text = agent_text(runtime(request).store, request.path_params["id"], version)
    return pages.json_answer(text)


async def update(request: Request) -> Response:
    """POST /v1/agents/{id}. 409 when `version` is not the current one."""
    body = await AgentUpdate.of(request)
    _refuse_multiagent(body.multiagent)
    run = runtime(request)
    before = run.load("agent", request.path_params["id"])
    if before["archived_at"] is not None:
        raise invalid("The agent is archived and cannot be changed")
    if body.version is not None and body.version != before["version"]:
        raise conflict(f"version {body.version} is stale: the agent is at version {before['version']}")
    after = {**before, **_changes(run.store, body, before)}
    if after != before:
        check_parts(after)
        after |= {"version": before["version"] + 1, "updated_at": now()}
        with run.store.transaction():
            run.store.replace("agent", after)
            _insert_version(run.store, after)
    return _answer(run.store, after["id"])


async def archive(request: Request) -> Response:
    """POST /v1/agents/{id}/archive; for good. Its sessions go on."""
    run = runtime(request)
    agent = run.load("agent", request.path_params["id"])
    if agent["archived_at"] is None:
        moment = now()
        run.store.replace("agent", {**agent, "archived_at": moment, "updated_at": moment})
    return _answer(run.store, agent["id"])


async def list_agents(request: Request) -> Response:
    """GET /v1/agents, newest first."""
    query = request.query_params
    size = pages.limit(query, default=20, most=100)
    start = pages.cursor(query, "agents", ascending=False)
    rows = runtime(request).store.find(
        Query(
            "agent",
            size,
            after=pages.after(start),
            include_archived=pages.flag(query, "include_archived"),
            where=pages.times(query, "created_at"),
        )
    )
    return pages.page(rows, size, "agents", ascending=False)


async def list_versions(request: Request) -> Response:
    """GET /v1/agents/{id}/versions, newest first."""
    run = runtime(request)
    agent = run.load("agent", request.path_params["id"])
    size = pages.limit(request.query_params, default=20, most=100)
    scope = f"versions/{agent['id']}"
    start = pages.cursor(request.query_params, scope, ascending=False)
    rows = run.store.find(Query("agent_version", size, parent=agent["id"], after=pages.after(start)))
    return pages.page(rows, size, scope, ascending=False)


def agent_text(store: Store, id: str, version: int | None) -> str:
    """An agent's JSON, at a version or at its newest. Raises 404."""
    text = store.get_text("agent", id) if version is None else store.get_text("agent_version", f"{id}@{version}")
    if text is None:
        raise missing("agent", id if version is None else f"{id} version {version}")
    return text


def skills_wire(store: Store, skills: list[SkillRef]) -> list[JSON]:
    """Skills in full. Raises 400 for a custom skill, or version of it, that is not there."""
    wires = [skill.wire() for skill in skills]
    for wire in wires:
        if wire["type"] == "custom" and not _is_skill(store, wire["skill_id"], wire["version"]):
            raise invalid(f"skills: {wire['skill_id']} version {wire['version']} was not found")
    return wires


def check_parts(agent: JSON) -> None:
    """Refuse tools and servers that do not fit together, with 400."""
    problem = check_servers(agent["tools"], agent["mcp_servers"])
    if problem:
        raise invalid(problem)


def _is_skill(store: Store, id: str, version: str) -> bool:
    if version == "latest":
        return store.get_text("skill", id) is not None
    return store.get_text("skill_version", version, id) is not None


def _changes(store: Store, body: AgentUpdate, before: JSON) -> JSON:
    """What of the agent becomes something else. null and [] clear; name and model cannot be cleared."""
    given = body.given()
    changes: JSON = {}
    for field in ("name", "description", "system"):
        if field in given:
            changes[field] = given[field] or None
    if "model" in given:
        changes["model"] = model_wire(body.model, before["model"])
    for field in ("tools", "mcp_servers"):
        if field in given:
            changes[field] = [part.wire() for part in given[field] or []]
    if "skills" in given:
        changes["skills"] = skills_wire(store, body.skills or [])
    if "metadata" in given:
        changes["metadata"] = patched(before["metadata"], body.metadata)
    if "execution_identity" in given:
        changes["execution_identity"] = body.execution_identity.wire() if body.execution_identity else SERVICE_ACCOUNT
    return changes


def _refuse_multiagent(given: JSON | None) -> None:
    if given is not None:
        raise invalid("multiagent: this server runs single agents only")


def _insert_version(store: Store, agent: JSON) -> None:
    store.insert("agent_version", agent, id=f"{agent['id']}@{agent['version']}", parent=agent["id"])


def _answer(store: Store, id: str) -> Response:
    return pages.json_answer(agent_text(store, id, None))


ROUTES = [
    Route("/v1/agents", create, methods=["POST"]),
    Route("/v1/agents", list_agents, methods=["GET"]),
    Route("/v1/agents/{id}", retrieve, methods=["GET"]),
    Route("/v1/agents/{id}", update, methods=["POST"]),
    Route("/v1/agents/{id}/archive", archive, methods=["POST"]),
    Route("/v1/agents/{id}/versions", list_versions, methods=["GET"]),
]
