"""Documents: what was read, held against the kinds; everything that is wrong is said at once, each with its line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any  # shapes differ by kind; problems are JSON

from pydantic import ValidationError

from powerloom.kernel.errors import Invalid
from powerloom.manifests.parse import Raw
from powerloom.manifests.shapes import KINDS, VERSIONS, Kind

KEYS = {"apiVersion", "kind", "metadata", "spec"}
MOST_TOLD = 50


@dataclass(frozen=True)
class Document:
    """One document of a known kind."""

    kind: Kind
    metadata: Any
    spec: Any
    raw: Raw

    @property
    def address(self) -> str:
        """What it is about, unique within its kind."""
        address: str = self.metadata.address
        return address

    @property
    def named(self) -> set[str]:
        """The fields of the spec that the document names, the only ones it changes."""
        return set(self.spec.model_fields_set)

    def line_of(self, *path: str) -> int:
        """Return the line of a field."""
        return self.raw.line_of(path)


def validated(raws: Sequence[Raw]) -> list[Document]:
    """Return the documents. Raises `Invalid` with every problem, each with its line."""
    problems: list[dict[str, Any]] = []
    found = [document for raw in raws if (document := _document(raw, problems))]
    problems += _doubles(found)
    if problems:
        problems.sort(key=lambda problem: problem["line"])
        first = problems[0]
        raise Invalid(
            f"Line {first['line']}: {first['problem']}",
            field=first["field"] or "manifest",
            problems=problems[:MOST_TOLD],
        )
    return found


def _document(raw: Raw, problems: list[dict[str, Any]]) -> Document | None:
    before = len(problems)
    value = raw.value
    unknown = sorted(value.keys() - KEYS)
    problems.extend(_problem(raw, (key,), f"no document has a key {key}") for key in unknown)
    if value.get("apiVersion", VERSIONS[0]) not in VERSIONS:
        problems.append(_problem(raw, ("apiVersion",), f"apiVersion is {' or '.join(VERSIONS)}"))
    kind = KINDS.get(value["kind"]) if isinstance(value.get("kind"), str) else None
    if kind is None:
        problems.append(_problem(raw, ("kind",), f"kind is one of {', '.join(KINDS)}"))
        return None
    metadata = _part(kind.metadata, "metadata", raw, problems)
    spec = _part(kind.spec, "spec", raw, problems)
    return Document(kind, metadata, spec, raw) if len(problems) == before else None


def _part(shape: Any, name: str, raw: Raw, problems: list[dict[str, Any]]) -> Any:
    try:
        return shape.model_validate(raw.value.get(name) or {})
    except ValidationError as error:
        for one in error.errors(include_url=False, include_context=False, include_input=False):
            path = (name, *one["loc"])
            words = f"{'.'.join(map(str, path))}: {one['msg'].removeprefix('Value error, ')}"
            problems.append(_problem(raw, path, words))
        return None


def _doubles(documents: Iterable[Document]) -> list[dict[str, Any]]:
    seen: dict[tuple[str, str], Document] = {}
    problems = []
    for document in documents:
        first = seen.setdefault((document.kind.name, document.address), document)
        if first is not document:
            words = f"{document.kind.name} {document.address} stands in line {first.raw.line} already"
            problems.append(_problem(document.raw, ("metadata",), words))
    return problems


def _problem(raw: Raw, path: tuple[str | int, ...], words: str) -> dict[str, Any]:
    return {"line": raw.line_of(path), "field": ".".join(map(str, path)), "problem": words}
