"""Routes of `/v1/skills`: multipart uploads in, a zip out.

The content of a version is kept as the zip that is given back. A version never changes; deleting a skill deletes them
all. Anthropic's prebuilt skills are listed too and cannot be changed.
"""

import io
import re
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from powerloom.cma.local import pages
from powerloom.cma.local.catalog import PREBUILT_SKILLS, prebuilt_skill, prebuilt_version
from powerloom.cma.local.errors import invalid
from powerloom.cma.local.ids import new_id, now
from powerloom.cma.local.multipart import Part, form
from powerloom.cma.local.runtime import Runtime, missing, runtime
from powerloom.cma.local.store import Query
from powerloom.cma.types import JSON

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
MOST_DISPLAY_NAME = 255
MOST_DESCRIPTION = 1024
MOST_FILES = 5000
ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Upload:
    """A skill's files under one top directory, with what its SKILL.md says."""

    name: str
    description: str
    archive: bytes


async def create(request: Request) -> Response:
    """POST /v1/skills: a skill with its first version. Names need not be unique."""
    parts = await form(request)
    upload = _upload(parts)
    display_name = _display_name(parts) or upload.name
    run = runtime(request)
    skill_id, moment = new_id("skill"), now()
    with run.store.transaction():
        version = _insert_version(run, skill_id, upload, moment)
        skill: JSON = {
            "id": skill_id,
            "type": "skill",
            "display_name": display_name,
            "latest_version_id": version["id"],
            "source": {"type": "custom"},
            "created_at": moment,
            "updated_at": moment,
        }
        run.store.insert("skill", skill)
    return JSONResponse(skill)


async def retrieve(request: Request) -> Response:
    """GET /v1/skills/{id}."""
    id = request.path_params["id"]
    return JSONResponse(prebuilt_skill(id) or runtime(request).load("skill", id))


async def list_skills(request: Request) -> Response:
    """GET /v1/skills, newest first; the prebuilt ones come last."""
    query = request.query_params
    size = pages.limit(query, default=20, most=1000)
    source = query.get("source") or None
    scope = f"skills/{source or ''}"
    start = pages.cursor(query, scope, ascending=False)
    after = pages.after(start)
    rows = [] if source not in {None, "custom"} else runtime(request).store.find(Query("skill", size, after=after))
    if source in {None, "anthropic"}:
        # Sequence numbers below 1 belong to no stored skill, so they can stand for the prebuilt ones.
        built_in = [(-place, pages.text(prebuilt_skill(name))) for place, name in enumerate(PREBUILT_SKILLS)]
        rows = [*rows, *(row for row in built_in if after is None or row[0] < after)][: size + 1]
    return pages.page(rows, size, scope, ascending=False)


async def delete(request: Request) -> Response:
    """DELETE /v1/skills/{id}: with all its versions."""
    run = runtime(request)
    skill = _own(run, request.path_params["id"])
    with run.store.transaction():
        for version in run.store.children("skill_version", skill["id"]):
            run.store.delete_blob(version["id"])
        run.store.delete_children("skill_version", skill["id"])
        run.store.delete("skill", skill["id"])
    return JSONResponse({"id": skill["id"], "type": "skill_deleted"})


async def create_version(request: Request) -> Response:
    """POST /v1/skills/{id}/versions. Its name must be the one the skill has."""
    upload = _upload(await form(request))
    run = runtime(request)
    skill = _own(run, request.path_params["id"])
    name = run.load("skill_version", skill["latest_version_id"])["name"]
    if upload.name != name:
        raise invalid(f"SKILL.md: the name must stay '{name}'")
    moment = now()
    with run.store.transaction():
        version = _insert_version(run, skill["id"], upload, moment)
        run.store.replace("skill", {**skill, "latest_version_id": version["id"], "updated_at": moment})
    return JSONResponse(version)


async def list_versions(request: Request) -> Response:
    """GET /v1/skills/{id}/versions, newest first."""
    run = runtime(request)
    id = request.path_params["id"]
    size = pages.limit(request.query_params, default=20, most=1000)
    built_in = prebuilt_version(id)
    if built_in is not None:
        return JSONResponse({"data": [built_in], "next_page": None})
    skill = _own(run, id)
    scope = f"skill_versions/{skill['id']}"
    start = pages.cursor(request.query_params, scope, ascending=False)
    rows = run.store.find(Query("skill_version", size, parent=skill["id"], after=pages.after(start)))
    return pages.page(rows, size, scope, ascending=False)


async def retrieve_version(request: Request) -> Response:
    """GET /v1/skills/{id}/versions/{version}, or `latest`."""
    built_in = prebuilt_version(request.path_params["id"])
    if built_in is not None and request.path_params["version"] in {"latest", built_in["id"]}:
        return JSONResponse(built_in)
    return JSONResponse(_version(request))


async def content(request: Request) -> Response:
    """GET …/content: the files as a zip under their top directory."""
    version = _version(request)
    return Response(
        runtime(request).store.blob(version["id"]),
        media_type="application/zip",
        headers={"content-disposition": f'attachment; filename="{version["name"]}.zip"'},
    )


async def delete_version(request: Request) -> Response:
    """DELETE …/versions/{version}. The last one goes only with its skill."""
    run = runtime(request)
    version = _version(request)
    skill = _own(run, version["skill_id"])
    rest = [other for other in run.store.children("skill_version", skill["id"]) if other["id"] != version["id"]]
    if not rest:
        raise invalid("A skill keeps at least one version: delete the skill instead")
    with run.store.transaction():
        run.store.delete_blob(version["id"])
        run.store.delete("skill_version", version["id"])
        if skill["latest_version_id"] == version["id"]:
            run.store.replace("skill", {**skill, "latest_version_id": rest[-1]["id"], "updated_at": now()})
    return JSONResponse({"id": version["id"], "type": "skill_version_deleted"})


def _own(run: Runtime, id: str) -> JSON:
    if id in PREBUILT_SKILLS:
        raise invalid(f"'{id}' is Anthropic's and cannot be changed")
    return run.load("skill", id)


def _version(request: Request) -> JSON:
    run = runtime(request)
    skill = run.store.get("skill", request.path_params["id"])
    if skill is None:
        raise missing("skill", request.path_params["id"])
    wanted = request.path_params["version"]
    return run.load("skill_version", skill["latest_version_id"] if wanted == "latest" else wanted, skill["id"])


def _insert_version(run: Runtime, skill_id: str, upload: Upload, moment: str) -> JSON:
    version: JSON = {
        "id": new_id("skver"),
        "type": "skill_version",
        "skill_id": skill_id,
        "name": upload.name,
        "description": upload.description,
        "created_at": moment,
    }
    run.store.insert("skill_version", version, parent=skill_id)
    run.store.put_blob(version["id"], upload.archive)
    return version


def _display_name(parts: list[Part]) -> str | None:
    for part in parts:
        if part.name == "display_name":
            try:
                name = part.data.decode()
            except UnicodeDecodeError as error:
                raise invalid("display_name: must be UTF-8") from error
            if len(name) > MOST_DISPLAY_NAME or not name.isprintable():
                raise invalid(f"display_name: one line of at most {MOST_DISPLAY_NAME} characters")
            return name or None
    return None


def _upload(parts: list[Part]) -> Upload:
    """Check the files of a form. Raises 400."""
    files = [part for part in parts if part.name in {"files[]", "files"}]
    if not files:
        raise invalid("files: Field required")
    if len(files) > MOST_FILES:
        raise invalid(f"files: at most {MOST_FILES}")
    paths = [_path(part.filename) for part in files]
    if len(set(paths)) != len(paths):
        raise invalid("files: every path may be given once")
    tops = {path.parts[0] for path in paths}
    if len(tops) != 1 or any(len(path.parts) < 2 for path in paths):
        raise invalid("files: all must be in one top-level directory")
    by_path = dict(zip(paths, files, strict=True))
    top = tops.pop()
    manifest = by_path.get(PurePosixPath(top) / "SKILL.md")
    if manifest is None:
        raise invalid("files: SKILL.md is missing at the root of the top-level directory")
    name, description = _front_matter(manifest.data, top)
    return Upload(name, description, _zip(name, by_path))


def _path(filename: str | None) -> PurePosixPath:
    if not filename or len(filename) > 1024 or "\\" in filename or not filename.isprintable():
        raise invalid("files: every part needs a plain file name with its directory")
    path = PurePosixPath(filename)
    if path.is_absolute() or ".." in path.parts or str(path) != filename:
        raise invalid(f"files: '{filename}' is not a plain relative path")
    return path


def _front_matter(text: bytes, top: str) -> tuple[str, str]:
    """Name and description from the YAML between the two `---` lines that SKILL.md begins with."""
    try:
        lines = text.decode().splitlines()
        end = lines.index("---", 1) if lines and lines[0] == "---" else None
        facts: Any = yaml.safe_load("\n".join(lines[1:end])) if end else None
    except (UnicodeDecodeError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise invalid("SKILL.md: the front matter is not valid YAML") from error
    if not isinstance(facts, dict):
        raise invalid("SKILL.md must begin with YAML front matter")
    name, description = facts.get("name", top), facts.get("description")
    if not isinstance(name, str) or not SLUG.fullmatch(name):
        raise invalid("SKILL.md: name must be 1 to 64 lower-case letters, digits and hyphens")
    if not isinstance(description, str) or not 1 <= len(description) <= MOST_DESCRIPTION:
        raise invalid(f"SKILL.md: description must be 1 to {MOST_DESCRIPTION} characters")
    try:
        description.encode()
    except UnicodeEncodeError as error:
        raise invalid("SKILL.md: description is not valid text") from error
    return name, description


def _zip(name: str, files: dict[PurePosixPath, Part]) -> bytes:
    """The archive that is given back: the same bytes for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(files):
            inside = "/".join([name, *path.parts[1:]])
            archive.writestr(zipfile.ZipInfo(inside, ZIP_DATE), files[path].data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


ROUTES = [
    Route("/v1/skills", create, methods=["POST"]),
    Route("/v1/skills", list_skills, methods=["GET"]),
    Route("/v1/skills/{id}", retrieve, methods=["GET"]),
    Route("/v1/skills/{id}", delete, methods=["DELETE"]),
    Route("/v1/skills/{id}/versions", create_version, methods=["POST"]),
    Route("/v1/skills/{id}/versions", list_versions, methods=["GET"]),
    Route("/v1/skills/{id}/versions/{version}", retrieve_version, methods=["GET"]),
    Route("/v1/skills/{id}/versions/{version}", delete_version, methods=["DELETE"]),
    Route("/v1/skills/{id}/versions/{version}/content", content, methods=["GET"]),
]
