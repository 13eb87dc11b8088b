"""The contract: OpenAPI 3.1 from the code, completed with what holds for every route so that no route repeats it.

Every operation gets its summary from its docstring's first sentence, the error answers that the edge can give it in the
one error shape, and, where they apply, `limit` and `cursor` of lists, `dry_run` and `Idempotency-Key` of governed
writes.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any  # a JSON document

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

WRITES = {"post", "put", "patch", "delete"}
TAGS = {
    "meta": "The API itself",
    "sign-in": "How to get a token",
    "tokens": "Tokens that live longer",
    "accounts": "Who is who: OUs, users, groups",
    "access": "Who may do what, and why",
    "secrets": "Values that are used and never shown",
    "agents": "What should exist",
    "skills": "What agents know how to do",
    "sync": "Why something is not live yet",
    "sessions": "What is running",
    "audit": "What was done, by whom, provably",
}

ERROR = {
    "type": "object",
    "title": "Error",
    "description": "The one shape of every error.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "detail", "request_id"],
            "properties": {
                "code": {"type": "string", "description": "A word for programs."},
                "message": {"type": "string", "description": "What happened and what to do next."},
                "detail": {"type": "object", "description": "More for programs; depends on the code."},
                "request_id": {"type": "string", "description": "Names this request in the log and the audit trail."},
            },
        }
    },
    "examples": [
        {
            "error": {
                "code": "name_taken",
                "message": "An agent named code-reviewer is already in /acme/engineering. Choose another name.",
                "detail": {"field": "name"},
                "request_id": "req_0197c2d2f0c97c6fb2b4d5a0e7f31a55",
            }
        }
    ],
}
HELD = {
    "type": "object",
    "title": "Held",
    "description": "An approval policy holds the change: nothing was applied, one request waits for its approvers.",
    "properties": {
        "id": {"type": "string", "format": "uuid", "description": "The request, in the inbox at /approvals."},
        "explain": {"$ref": "#/components/schemas/Explanation"},
    },
}
EXPLANATION = {
    "type": "object",
    "title": "Explanation",
    "description": "Why something is refused, held or stopped, as far as you may know it.",
    "required": ["facts", "decided_by", "remedy"],
    "properties": {
        "facts": {
            "type": "array",
            "description": "What was looked at, in that order; `decides` marks what settled it.",
            "items": {"type": "object", "required": ["kind", "text", "decides"]},
        },
        "decided_by": {"type": ["string", "null"]},
        "remedy": {
            "type": "array",
            "description": "The least that would change it, and who can do it.",
            "items": {"type": "object", "required": ["kind", "text", "who"]},
        },
    },
}

MEANINGS = {
    400: "It cannot be read: not HTTP, not a multipart body, a refused Host.",
    401: "No bearer token, or one that is no longer good.",
    403: "You can see it, but may not do this. `detail` names permission and OU; `detail.explain` why, and what helps.",
    404: "Absent, of another organization, or out of your sight: all alike.",
    409: "The state of things forbids it now: a name is taken, a version is stale, somebody was first.",
    413: "The body is over its limit.",
    422: "Something in the request is not right; `detail.field` says where.",
    426: "This server does not speak the client's schema version.",
    429: "Too many; `Retry-After` says when to come back.",
    503: "A part that this needs does not answer. Nothing was changed.",
}

LIMIT = {
    "name": "limit",
    "in": "query",
    "description": "Page by this many rows; the `Link` header (rel=next) leads on. Without it, all rows are streamed.",
    "schema": {"type": "integer", "minimum": 1, "maximum": 1000},
}
CURSOR = {
    "name": "cursor",
    "in": "query",
    "description": "Where the page begins, as the `Link` header of the page before gave it.",
    "schema": {"type": "string"},
}
DRY_RUN = {
    "name": "dry_run",
    "in": "query",
    "description": "`true` answers with what would happen, and changes nothing.",
    "schema": {"type": "string", "enum": ["true", "false"]},
}
KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A repeat within 24 hours with the same key and body does nothing more and answers the same.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


class Api(NinjaAPI):
    """A NinjaAPI whose schema says all that holds."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._documents: dict[str, OpenAPISchema] = {}

    def get_openapi_operation_id(self, operation: Operation) -> str:
        """Return the name of a route: what it is about and what it does (`agents_create_agent`)."""
        about = operation.view_func.__module__.removesuffix(".api").rpartition(".")[2]
        return f"{about}_{operation.view_func.__name__}"

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        """Return the OpenAPI document for a prefix, this API's own by default. Made once: anybody may ask for it, and
        making it takes a while.
        """
        prefix = self.get_root_path(path_params or {}) if path_prefix is None else path_prefix
        if prefix not in self._documents:
            schema = super().get_openapi_schema(path_prefix=prefix)
            complete(schema)
            self._documents[prefix] = schema
        return self._documents[prefix]


def complete(schema: dict[str, Any]) -> None:
    """Add to ninja's document what holds for every route."""
    components = schema["components"]
    _forget_empty_defaults(components["schemas"])
    components["schemas"] |= {"Error": ERROR, "Held": HELD, "Explanation": EXPLANATION}
    components["responses"] = {_name(status): _answer(meaning, "Error") for status, meaning in MEANINGS.items()}
    components["responses"]["Held"] = _answer("Held for approval.", "Held")
    used = set()
    for operations in schema["paths"].values():
        for method, operation in operations.items():
            _complete(operation, method)
            used.update(operation.get("tags", ()))
    schema["tags"] = [{"name": tag, "description": words} for tag, words in TAGS.items() if tag in used]


def _complete(operation: dict[str, Any], method: str) -> None:
    _describe(operation)
    is_governed = method in WRITES and "security" in operation and not operation.pop("x-ungoverned", False)
    answers = {str(status): answer for status, answer in operation["responses"].items()}
    if streams := operation.pop("x-streams", None):
        answers["200"]["content"] = {streams: {"schema": {"type": "string"}}}
    if is_governed:
        answers.setdefault("202", {"$ref": "#/components/responses/Held"})
    known = {parameter["name"] for parameter in operation["parameters"]}
    for parameter in (DRY_RUN, KEY) if is_governed else (LIMIT, CURSOR) if _is_list(answers) else ():
        if parameter["name"] not in known:
            operation["parameters"].append(parameter)
    for status in _errors(operation):
        answers.setdefault(str(status), {"$ref": f"#/components/responses/{_name(status)}"})
    operation["responses"] = dict(sorted(answers.items()))


def _forget_empty_defaults(schemas: dict[str, Any]) -> None:
    """Drop defaults of "": in a change they stand for a field that is not named, and no limit lets them be sent."""
    for schema in schemas.values():
        for part in schema.get("properties", {}).values():
            if part.get("default") == "":
                del part["default"]


def _describe(operation: dict[str, Any]) -> None:
    """Make the first paragraph of the docstring the summary, unless the route has one of its own, and the rest the
    text.
    """
    first, _, rest = operation.pop("description", "").partition("\n\n")
    made_up = operation["summary"].lower().replace(" ", "_")
    if first and operation["operationId"].endswith(f"_{made_up}"):
        operation["summary"], first = " ".join(first.split()).removesuffix("."), ""
    if text := "\n\n".join(filter(None, map(_unwrapped, [first, *rest.split("\n\n")]))):
        operation["description"] = text


def _unwrapped(paragraph: str) -> str:
    """Take the line breaks out of prose; the lines of a table are what it is made of."""
    if paragraph.lstrip().startswith("|"):
        return "\n".join(line.strip() for line in paragraph.strip().splitlines())
    return " ".join(paragraph.split())


def _errors(operation: dict[str, Any]) -> list[int]:
    errors = [400, 426, 503]
    asks = "requestBody" in operation
    if "security" in operation:
        errors += [401, 403]
    if asks:
        errors += [401, 413, 429]
    if DRY_RUN in operation["parameters"]:
        errors += [409, 429]
    if operation["parameters"] or asks:
        errors += [404, 422]
    return errors


def _is_list(answers: dict[str, Any]) -> bool:
    content = answers.get("200", {}).get("content", {}).get("application/json", {})
    return bool(content.get("schema", {}).get("type") == "array")


def _name(status: int) -> str:
    return HTTPStatus(status).phrase.replace(" ", "")


def _answer(meaning: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": meaning, "content": content}
