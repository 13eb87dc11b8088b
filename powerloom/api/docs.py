"""The API's documentation as a page: made from the schema, in the product's look, without anything from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any  # parts of a JSON schema
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from powerloom.api.openapi import TAGS
from powerloom.api.v1 import api

Schema = Mapping[str, Any]

DEEPEST = 4  # levels of a nested schema that a page shows
TONES = {"GET": "busy", "POST": "ok", "PUT": "warn", "PATCH": "warn", "DELETE": "bad"}


@dataclass(frozen=True)
class Row:
    """One field of a body, or one parameter."""

    name: str
    kind: str
    required: bool
    text: str
    depth: int = 0

    @property
    def indent(self) -> range:
        """What the template repeats a space for."""
        return range(self.depth)


@dataclass(frozen=True)
class Answer:
    """One status that a route may answer with."""

    status: str
    text: str
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Page:
    """One route."""

    key: str
    method: str
    path: str
    tone: str
    summary: str
    text: list[SafeString]
    table: list[list[SafeString]]
    is_public: bool
    parameters: list[Row]
    body_kind: str
    body: list[Row]
    answers: list[Answer]
    errors: list[Answer]
    example: str


@require_safe
def read(request: HttpRequest) -> HttpResponse:
    """Show every route. Needs no sign-in: the page says what the code says, and nothing about any tenant."""
    base = request.build_absolute_uri(request.path).removesuffix("/docs")
    return render(request, "api/docs.html", {"groups": groups(), "error": error_rows(), "base": base, "api": api})


@cache
def groups() -> list[tuple[str, str, list[Page]]]:
    """Return the routes by subject: (name, words, routes)."""
    document = api.get_openapi_schema(path_prefix="")
    reader = Reader(document)
    found: dict[str, list[Page]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            found.setdefault((operation.get("tags") or ["meta"])[0], []).append(reader.page(path, method, operation))
    order = [*TAGS, *sorted(found.keys() - TAGS.keys())]
    return [(tag, TAGS.get(tag, ""), found[tag]) for tag in order if tag in found]


@cache
def error_rows() -> list[Row]:
    """Return the fields of the one error shape."""
    document = api.get_openapi_schema(path_prefix="")
    return list(Reader(document).rows({"$ref": "#/components/schemas/Error"}))


def worded(text: str) -> SafeString:
    """Return text as HTML, with what stands between backticks as code."""
    parts = enumerate(text.split("`"))
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if at % 2 else part,) for at, part in parts)
    )


def paragraphs(operation: Schema) -> list[str]:
    """Return the paragraphs of a route's description."""
    text: str = operation.get("description", "")
    return [part for part in text.split("\n\n") if part]


def cells(table: str) -> list[list[SafeString]]:
    """Return the rows of a Markdown table, the heading first, without the line below it."""
    lines = [line for line in table.splitlines() if set(line) - set("|-: ")]
    return [[worded(cell.strip()) for cell in line.strip("|").split("|")] for line in lines]


class Reader:
    """Turns schema into rows that people read; follows references within the document."""

    def __init__(self, document: Schema) -> None:
        self.document = document

    def page(self, path: str, method: str, operation: Schema) -> Page:
        """Return what the page shows of one route."""
        answers = [self._answer(status, answer) for status, answer in operation["responses"].items()]
        body_kind, schema = self._body(operation)
        return Page(
            key=operation["operationId"],
            method=method.upper(),
            path=path,
            tone=TONES.get(method.upper(), "off"),
            summary=operation["summary"],
            text=[worded(paragraph) for paragraph in paragraphs(operation) if not paragraph.startswith("|")],
            table=[row for paragraph in paragraphs(operation) if paragraph.startswith("|") for row in cells(paragraph)],
            is_public="security" not in operation,
            parameters=[self._parameter(parameter) for parameter in operation["parameters"]],
            body_kind=body_kind,
            body=list(self.rows(schema)) if schema else [],
            answers=[answer for answer in answers if answer.status < "400"],
            errors=[answer for answer in answers if answer.status >= "400"],
            example=self._example(path, method, operation),
        )

    def rows(self, schema: Schema, depth: int = 0) -> Iterator[Row]:
        """Return the fields of an object, each followed by those inside it."""
        schema = self._followed(schema)
        if schema.get("type") == "array":
            yield from self.rows(schema.get("items", {}), depth)
            return
        required = set(schema.get("required", ()))
        for name, part in schema.get("properties", {}).items():
            yield Row(name, self.kind(part), name in required, worded(self._text(part)), depth)
            if depth < DEEPEST:
                yield from self.rows(self._inside(part), depth + 1)

    def kind(self, schema: Schema) -> str:
        """Return a type as people read it: `array of string`, `uuid or null`, `one of "a", "b"`."""
        schema = self._followed(schema)
        if choices := schema.get("anyOf") or schema.get("oneOf"):
            return " or ".join(dict.fromkeys(self.kind(choice) for choice in choices))
        if "const" in schema:
            return json.dumps(schema["const"])
        if "enum" in schema:
            return "one of " + ", ".join(json.dumps(value) for value in schema["enum"])
        if schema.get("type") == "array":
            return f"array of {self.kind(schema.get('items', {}))}"
        named = schema.get("format") or schema.get("type") or "any"
        return " or ".join(named) if isinstance(named, list) else str(named)

    def _followed(self, schema: Schema) -> Schema:
        while "$ref" in schema:
            found: Any = self.document
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step]
            schema = found
        return schema

    def _inside(self, schema: Schema) -> Schema:
        """Return the object within a field: itself, its items, or the one of its choices that has fields."""
        schema = self._followed(schema)
        if schema.get("type") == "array":
            return self._inside(schema.get("items", {}))
        for choice in [*schema.get("anyOf", ()), *schema.get("oneOf", ())]:
            if (found := self._inside(choice)).get("properties"):
                return found
        return schema if "properties" in schema else {}

    def _text(self, schema: Schema) -> str:
        limits = [f"{words} {schema[name]}" for name, words in LIMITS.items() if name in self._plain(schema)]
        default = schema.get("default")
        if default not in (None, ""):
            limits.append(f"default {json.dumps(default)}")
        return " ".join(
            part for part in (schema.get("description", ""), f"({', '.join(limits)})" * bool(limits)) if part
        )

    def _plain(self, schema: Schema) -> Schema:
        return schema if "$ref" not in schema else {}

    def _parameter(self, parameter: Schema) -> Row:
        name = parameter["name"] if parameter["in"] != "header" else f"{parameter['name']} (header)"
        kind, text = self.kind(parameter["schema"]), parameter.get("description") or self._text(parameter["schema"])
        return Row(name, kind, parameter.get("required", False), worded(text))

    def _body(self, operation: Schema) -> tuple[str, Schema | None]:
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            return kind, content["schema"]
        return "", None

    def _answer(self, status: str, answer: Schema) -> Answer:
        answer = self._followed(answer)
        content: Schema = next(iter(answer.get("content", {}).values()), {})
        rows = list(self.rows(content.get("schema", {}))) if status < "400" else []
        return Answer(status, worded(answer["description"]), rows)

    def _example(self, path: str, method: str, operation: Schema) -> str:
        """Return a line of curl that says how this route is called."""
        line = ["curl"] if method == "get" else ["curl", "-X", method.upper()]
        asked = {p["name"]: "…" for p in operation["parameters"] if p["in"] == "query" and p.get("required")}
        line.append(f'"$POWERLOOM{path}{"?" if asked else ""}{urlencode(asked, safe="…")}"')
        if "security" in operation:
            line.append('-H "Authorization: Bearer $TOKEN"')
        kind, schema = self._body(operation)
        if kind == "multipart/form-data":
            line.append("-F file=@archive.zip")
        elif schema:
            line.append(f"-d '{json.dumps(self._sample(schema), ensure_ascii=False)}'")
        return " ".join(line)

    def _sample(self, schema: Schema) -> Any:
        """Return a body with what is required of it."""
        schema = self._followed(schema)
        if examples := schema.get("examples"):
            return examples[0]
        required = schema.get("required", ())
        return {name: self._value(schema["properties"][name]) for name in required}

    def _value(self, schema: Schema) -> Any:
        schema = self._followed(schema)
        if choices := schema.get("anyOf") or schema.get("oneOf"):
            return self._value(choices[0])
        if "enum" in schema:
            return schema["enum"][0]
        if schema.get("type") == "object":
            return self._sample(schema)
        return {"integer": 1, "number": 1, "boolean": True, "array": []}.get(schema.get("type", ""), "…")


LIMITS = {
    "minLength": "at least characters:",
    "maxLength": "at most characters:",
    "minimum": "at least",
    "maximum": "at most",
    "maxItems": "at most items:",
    "pattern": "matches",
}
