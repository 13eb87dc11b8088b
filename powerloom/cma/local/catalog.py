"""What this server has from the start: the models it lists, and Anthropic's prebuilt skills.

Routes: GET /v1/models, GET /v1/models/{id}. A model not listed here is refused when an agent names it, as on the
hosted service.
"""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from powerloom.cma.local import pages
from powerloom.cma.local.errors import invalid, not_found
from powerloom.cma.types import JSON

DEFAULT_EFFORT = "high"

MODELS = (
    "claude-fable-5-2",
    "claude-haiku-5-5",
    "claude-sonnet-5-5",
    "claude-opus-5-5",
    "claude-fable-5-1",
    "claude-sonnet-5",
    "claude-fable-5",
    "claude-opus-5",
    "claude-opus-4-8",
    "claude-opus-4-7",
    "claude-opus-4-6",
    "claude-sonnet-4-6",
    "claude-haiku-4-5",
    "claude-haiku-4-5-20251001",
    "claude-opus-4-5",
    "claude-opus-4-5-20251101",
    "claude-sonnet-4-5",
    "claude-sonnet-4-5-20250929",
    "claude-opus-4-1",
    "claude-opus-4-1-20250805",
)
"""Newest first, from the SDK's own list and the documentation."""

PREBUILT_SKILLS = {
    "docx": "Create, read and change Word documents",
    "pdf": "Read, fill and make PDF files",
    "pptx": "Create, read and change PowerPoint presentations",
    "xlsx": "Create, read and change Excel workbooks",
}

LONG_AGO = "2025-10-16T00:00:00.000000Z"


def is_model(id: str) -> bool:
    """Whether an agent may name this model."""
    return id in MODELS


def prebuilt_skill(id: str) -> JSON | None:
    """A prebuilt skill as the skills routes show it, or None."""
    if id not in PREBUILT_SKILLS:
        return None
    return {
        "id": id,
        "type": "skill",
        "display_name": id,
        "latest_version_id": f"skver_{id}",
        "source": {"type": "anthropic"},
        "created_at": LONG_AGO,
        "updated_at": LONG_AGO,
    }


def prebuilt_version(skill_id: str) -> JSON | None:
    """The one version of a prebuilt skill, or None."""
    if skill_id not in PREBUILT_SKILLS:
        return None
    return {
        "id": f"skver_{skill_id}",
        "type": "skill_version",
        "skill_id": skill_id,
        "name": skill_id,
        "description": PREBUILT_SKILLS[skill_id],
        "created_at": LONG_AGO,
    }


def _model(id: str) -> JSON:
    words = id.removeprefix("claude-").split("-")
    return {
        "id": id,
        "type": "model",
        "display_name": f"Claude {words[0].title()} {'.'.join(words[1:3])} (scripted here)",
        "created_at": LONG_AGO,
        "lifecycle": "active",
        "line": words[0],
    }


async def list_models(request: Request) -> Response:
    """GET /v1/models: pages by `after_id` and `before_id`, unlike every other list."""
    size = pages.limit(request.query_params, default=20, most=1000)
    names = list(MODELS)
    after, before = request.query_params.get("after_id"), request.query_params.get("before_id")
    for name in (after, before):
        if name and name not in names:
            raise invalid(f"'{name}' is not a model of this server")
    start = names.index(after) + 1 if after else 0
    end = names.index(before) if before else len(names)
    rest = names[start:end]
    shown = rest[-size:] if before else rest[:size]
    return JSONResponse(
        {
            "data": [_model(name) for name in shown],
            "has_more": len(rest) > size,
            "first_id": shown[0] if shown else None,
            "last_id": shown[-1] if shown else None,
        }
    )


async def get_model(request: Request) -> Response:
    """GET /v1/models/{id}."""
    name = request.path_params["id"]
    if name not in MODELS:
        raise not_found(f"model: {name}")
    return JSONResponse(_model(name))
