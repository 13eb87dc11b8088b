"""Routes of `/v1/sessions/{id}/resources`: what is mounted into a session. Shown, never mounted."""

from pathlib import PurePosixPath

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from powerloom.cma.local import pages
from powerloom.cma.local.bodies.base import Body
from powerloom.cma.local.bodies.session import FileResource, RepositoryResource
from powerloom.cma.local.errors import invalid, not_found
from powerloom.cma.local.ids import new_id, now
from powerloom.cma.local.runtime import runtime
from powerloom.cma.local.store import Store
from powerloom.cma.types import JSON


class Rotation(Body):
    """POST …/resources/{rid}: a new token, taken and forgotten."""

    authorization_token: str = Field(min_length=1)


def new(store: Store, given: FileResource | RepositoryResource, moment: str) -> JSON:
    """A resource in full. Raises 400 for a file that is not there."""
    common = {"id": new_id("sesrsc"), "created_at": moment, "updated_at": moment}
    if isinstance(given, FileResource):
        if store.get_text("file", given.file_id) is None:
            raise invalid(f"resources: file {given.file_id} was not found")
        path = given.mount_path or f"/mnt/session/uploads/{given.file_id}"
        return {**common, "type": "file", "file_id": given.file_id, "mount_path": path}
    path = given.mount_path or f"/workspace/{PurePosixPath(given.url).name.removesuffix('.git') or 'repository'}"
    checkout = {"checkout": given.checkout.wire()} if given.checkout else {}
    return {**common, "type": "github_repository", "url": given.url, "mount_path": path, **checkout}


async def list_resources(request: Request) -> Response:
    """GET …/resources: all of them, or pages when `limit` is given."""
    session = runtime(request).load("session", request.path_params["id"])
    everything: list[JSON] = session["resources"]
    size = pages.limit(request.query_params, default=1000, most=1000)
    scope = f"resources/{session['id']}"
    start = pages.cursor(request.query_params, scope, ascending=True)
    first = start.after if start else 0
    following = first + size if first + size < len(everything) else None
    return JSONResponse(
        {
            "data": everything[first : first + size],
            "next_page": str(pages.Cursor(scope, True, following)) if following else None,
        }
    )


async def add(request: Request) -> Response:
    """POST …/resources: a file."""
    body = await FileResource.of(request)
    run = runtime(request)
    session = run.load("session", request.path_params["id"])
    resource = new(run.store, body, now())
    run.store.replace("session", {**session, "resources": [*session["resources"], resource]})
    return JSONResponse(resource)


async def retrieve(request: Request) -> Response:
    """GET …/resources/{rid}."""
    return JSONResponse(_find(request)[1])


async def rotate(request: Request) -> Response:
    """POST …/resources/{rid}: a repository's new token."""
    await Rotation.of(request)
    session, resource = _find(request)
    if resource["type"] != "github_repository":
        raise invalid("Only github_repository resources have a token")
    resource["updated_at"] = now()
    runtime(request).store.replace("session", session)
    return JSONResponse(resource)


async def delete(request: Request) -> Response:
    """DELETE …/resources/{rid}."""
    session, resource = _find(request)
    session["resources"].remove(resource)
    runtime(request).store.replace("session", session)
    return JSONResponse({"id": resource["id"], "type": "session_resource_deleted"})


def _find(request: Request) -> tuple[JSON, JSON]:
    session = runtime(request).load("session", request.path_params["id"])
    for resource in session["resources"]:
        if resource["id"] == request.path_params["rid"]:
            return session, resource
    raise not_found("Resource was not found")


ROUTES = [
    Route("/v1/sessions/{id}/resources", list_resources, methods=["GET"]),
    Route("/v1/sessions/{id}/resources", add, methods=["POST"]),
    Route("/v1/sessions/{id}/resources/{rid}", retrieve, methods=["GET"]),
    Route("/v1/sessions/{id}/resources/{rid}", rotate, methods=["POST"]),
    Route("/v1/sessions/{id}/resources/{rid}", delete, methods=["DELETE"]),
]
