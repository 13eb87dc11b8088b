"""Routes of `/v1/files`. Uploaded files can be mounted, not downloaded; agents here make none that could be."""

import mimetypes
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from powerloom.cma.local import pages
from powerloom.cma.local.errors import invalid, not_found
from powerloom.cma.local.ids import new_id, now, stamp
from powerloom.cma.local.multipart import Part, form
from powerloom.cma.local.runtime import runtime
from powerloom.cma.local.store import Query
from powerloom.cma.types import JSON

SHORTEST, LONGEST = 3600, 7_776_000
"""Seconds a file may be told to live."""

MOST_IDS = 100
MOST_NAME = 255


async def upload(request: Request) -> Response:
    """POST /v1/files."""
    parts = await form(request)
    file = next((part for part in parts if part.name == "file"), None)
    if file is None:
        raise invalid("file: Field required")
    seconds = _lifetime(parts)
    kind = _mime_type(file)
    document: JSON = {
        "id": new_id("file"),
        "type": "file",
        "filename": _filename(file, kind),
        "mime_type": kind,
        "size_bytes": len(file.data),
        "downloadable": False,
        "expires_at": stamp(datetime.now(UTC) + timedelta(seconds=seconds)) if seconds else None,
        "created_at": now(),
    }
    store = runtime(request).store
    with store.transaction():
        store.insert("file", document)
        store.put_blob(document["id"], file.data)
    return JSONResponse(document)


async def retrieve(request: Request) -> Response:
    """GET /v1/files/{id}."""
    return JSONResponse(_live(request))


async def content(request: Request) -> Response:
    """GET /v1/files/{id}/content: never for what was uploaded."""
    _live(request)
    raise invalid("Uploaded files cannot be downloaded", code="file_not_downloadable")


async def delete(request: Request) -> Response:
    """DELETE /v1/files/{id}."""
    store = runtime(request).store
    document = runtime(request).load("file", request.path_params["id"])
    with store.transaction():
        store.delete_blob(document["id"])
        store.delete("file", document["id"])
    return JSONResponse({"id": document["id"], "type": "file_deleted"})


async def list_files(request: Request) -> Response:
    """GET /v1/files, newest first; or those of `ids[]`, in one page."""
    query = request.query_params
    store = runtime(request).store
    ids = list(dict.fromkeys(pages.many(query, "ids")))
    if ids:
        if len(ids) > MOST_IDS or "limit" in query or "page" in query:
            raise invalid(f"ids: at most {MOST_IDS}, and neither limit nor page with them")
        found = [store.get("file", id) for id in ids]
        return JSONResponse({"data": [file for file in found if file], "next_page": None})
    size = pages.limit(query, default=20, most=1000)
    start = pages.cursor(query, "files", ascending=False)
    if query.get("scope_id"):
        return JSONResponse({"data": [], "next_page": None})  # sessions here make no files
    rows = store.find(Query("file", size, after=pages.after(start)))
    return pages.page(rows, size, "files", ascending=False)


def _live(request: Request) -> JSON:
    document = runtime(request).load("file", request.path_params["id"])
    if document["expires_at"] is not None and document["expires_at"] <= now():
        raise not_found("The file has expired", code="file_expired")
    return document


def _lifetime(parts: list[Part]) -> int | None:
    for part in parts:
        if part.name == "expires_in_seconds":
            if not (part.data.isdigit() and len(part.data) < 10 and SHORTEST <= int(part.data) <= LONGEST):
                raise invalid(f"expires_in_seconds: must be between {SHORTEST} and {LONGEST}")
            return int(part.data)
    return None


def _mime_type(file: Part) -> str:
    guessed = mimetypes.guess_type(file.filename or "")[0]
    return (file.content_type or guessed or "application/octet-stream")[:MOST_NAME]


def _filename(file: Part, kind: str) -> str:
    """The last part of the name given; CMA makes one up when there is none."""
    name = PurePosixPath(file.filename or "").name
    return name[:MOST_NAME] or "unnamed" + (mimetypes.guess_extension(kind) or "")


ROUTES = [
    Route("/v1/files", upload, methods=["POST"]),
    Route("/v1/files", list_files, methods=["GET"]),
    Route("/v1/files/{id}", retrieve, methods=["GET"]),
    Route("/v1/files/{id}", delete, methods=["DELETE"]),
    Route("/v1/files/{id}/content", content, methods=["GET"]),
]
