"""Routes of `/v1/environments`."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from powerloom.cma.local import pages
from powerloom.cma.local.bodies.base import patched
from powerloom.cma.local.bodies.environment import EnvironmentCreate, EnvironmentUpdate, merged
from powerloom.cma.local.errors import conflict, invalid
from powerloom.cma.local.ids import new_id, now
from powerloom.cma.local.runtime import runtime
from powerloom.cma.local.store import Query
from powerloom.cma.types import JSON


async def create(request: Request) -> Response:
    """POST /v1/environments."""
    body = await EnvironmentCreate.of(request)
    if body.scope == "account":
        raise invalid("scope: this organization supports only 'organization'")
    moment = now()
    environment: JSON = {
        "id": new_id("env"),
        "type": "environment",
        "name": body.name,
        "description": body.description,
        "config": merged(body.config),
        "metadata": body.metadata,
        "scope": "organization",
        "created_at": moment,
        "updated_at": moment,
        "archived_at": None,
    }
    runtime(request).store.insert("environment", environment)
    return JSONResponse(environment)


async def retrieve(request: Request) -> Response:
    """GET /v1/environments/{id}."""
    return JSONResponse(runtime(request).load("environment", request.path_params["id"]))


async def update(request: Request) -> Response:
    """POST /v1/environments/{id}; parts of the configuration that are left out stay."""
    body = await EnvironmentUpdate.of(request)
    run = runtime(request)
    before = run.load("environment", request.path_params["id"])
    if before["archived_at"] is not None:
        raise invalid("The environment is archived and cannot be changed", code="environment_archived")
    if body.scope == "account":
        raise invalid("scope: this organization supports only 'organization'")
    # Here, unlike elsewhere, an empty string deletes a key as null does.
    metadata = patched(before["metadata"], {key: value or None for key, value in body.metadata.items()})
    after = {
        **before,
        "name": body.name or before["name"],
        "description": body.description if "description" in body.model_fields_set else before["description"],
        "config": merged(body.config, before["config"]),
        "metadata": metadata,
    }
    if after != before:
        after["updated_at"] = now()
        run.store.replace("environment", after)
    return JSONResponse(after)


async def archive(request: Request) -> Response:
    """POST /v1/environments/{id}/archive; read-only afterwards."""
    run = runtime(request)
    environment = run.load("environment", request.path_params["id"])
    if environment["archived_at"] is None:
        moment = now()
        environment |= {"archived_at": moment, "updated_at": moment}
        run.store.replace("environment", environment)
    return JSONResponse(environment)


async def delete(request: Request) -> Response:
    """DELETE /v1/environments/{id}; 409 while a live session uses it."""
    run = runtime(request)
    environment = run.load("environment", request.path_params["id"])
    using = Query(
        "session",
        1,
        include_archived=False,
        where=[("json_extract(doc, '$.environment_id') = ?", (environment["id"],))],
    )
    if run.store.find(using):
        raise conflict("The environment is in use by a session")
    run.store.delete("environment", environment["id"])
    return JSONResponse({"id": environment["id"], "type": "environment_deleted"})


async def list_environments(request: Request) -> Response:
    """GET /v1/environments, newest first."""
    query = request.query_params
    size = pages.limit(query, default=20, most=100)
    start = pages.cursor(query, "environments", ascending=False)
    rows = runtime(request).store.find(
        Query(
            "environment",
            size,
            after=pages.after(start),
            include_archived=pages.flag(query, "include_archived"),
        )
    )
    return pages.page(rows, size, "environments", ascending=False)


ROUTES = [
    Route("/v1/environments", create, methods=["POST"]),
    Route("/v1/environments", list_environments, methods=["GET"]),
    Route("/v1/environments/{id}", retrieve, methods=["GET"]),
    Route("/v1/environments/{id}", update, methods=["POST"]),
    Route("/v1/environments/{id}", delete, methods=["DELETE"]),
    Route("/v1/environments/{id}/archive", archive, methods=["POST"]),
]
