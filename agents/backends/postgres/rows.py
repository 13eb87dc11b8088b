"""Values of PostgreSQL as JSON, and answers no larger than they may be.

Truth, whole numbers, floats and JSON are themselves; arrays are lists; everything else (numeric, times, bytes, ranges,
addresses) is the text that PostgreSQL writes for it, because JSON would lose digits, zones or infinity.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any  # values of any type

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader

CUT = 16_384  # characters of one text value that are shown
DEEPEST = 64  # levels of a document; what writes our answer, and what reads it, knows about 200

AS_TEXT = """
numeric date time timetz timestamp timestamptz interval uuid inet cidr bytea money xid int4range int8range numrange
daterange tsrange tstzrange int4multirange int8multirange nummultirange datemultirange tsmultirange tstzmultirange
"""
AS_FLOAT = "float4 float8"
AS_JSON = "json jsonb"


class _Text(Loader):
    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


class _Float(Loader):
    def load(self, data: Buffer) -> float | str:
        value = float(bytes(data))
        return value if math.isfinite(value) else bytes(data).decode()


class _Json(Loader):
    """A document that our answer cannot carry (too deep, beyond all floats, half a character) is shown as its text."""

    def load(self, data: Buffer) -> Any:
        text = bytes(data).decode()
        try:
            document = json.loads(text, parse_float=_finite)
            if "\\u" in text:
                json.dumps(document, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            return text
        is_flat = text.count("[") + text.count("{") <= DEEPEST
        return document if is_flat or _is_within(document, DEEPEST) else text


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("beyond all floats")
    return value


def _is_within(document: Any, levels: int) -> bool:
    """Return whether a document is nested at most so deep."""
    if not isinstance(document, (dict, list)):
        return True
    inner = document.values() if isinstance(document, dict) else document
    return levels > 0 and all(_is_within(one, levels - 1) for one in inner)


def _adapters() -> AdaptersMap:
    adapters = AdaptersMap(psycopg.adapters)
    for names, loader in ((AS_TEXT, _Text), (AS_FLOAT, _Float), (AS_JSON, _Json)):
        for name in names.split():
            adapters.register_loader(name, loader)
    return adapters


ADAPTERS = _adapters()


@dataclass
class Collected:
    """Rows of an answer, as many as fit into rows and bytes."""

    row_limit: int
    byte_limit: int
    columns: list[dict[str, str]] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    note: str | None = None
    size: int = 0

    @property
    def room(self) -> int:
        """How many more rows may be asked for: one too many tells that there are more."""
        return self.row_limit + 1 - len(self.rows)

    def add(self, rows: Sequence[Sequence[Any]]) -> bool:
        """Take rows until the answer is full, and return whether it has room for more."""
        for row in rows:
            if len(self.rows) == self.row_limit:
                return self._full(f"Only the first {self.row_limit} rows are shown (row_limit).")
            values = [_shown(value) for value in row]
            self.size += len(json.dumps(values, ensure_ascii=False).encode())
            if self.size > self.byte_limit:
                return self._full(f"Only the first {len(self.rows)} rows are shown: more than result_bytes.")
            self.rows.append(values)
        return True

    def as_json(self) -> dict[str, Any]:
        return {
            "columns": self.columns,
            "rows": self.rows,
            "row_count": len(self.rows),
            "truncated": self.note is not None,
            "note": self.note,
        }

    def _full(self, why: str) -> bool:
        self.note = why + " Ask for fewer, or with LIMIT and OFFSET."
        return False


def columns_of(description: Sequence[psycopg.Column] | None) -> list[dict[str, str]]:
    """Return names and types of what a statement answers."""
    return [{"name": column.name, "type": column.type_display} for column in description or ()]


def _shown(value: Any) -> Any:
    """Return a value as JSON, a long text cut."""
    match value:
        case None | bool() | int() | float() | dict():
            return value
        case list() | tuple():
            return [_shown(one) for one in value]
        case _:
            text = value if isinstance(value, str) else str(value)
            return text if len(text) <= CUT else f"{text[:CUT]}… (cut, {len(text)} characters in all)"
