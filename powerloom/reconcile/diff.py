"""The difference of two documents, field by field, for people: what a drift changed, why an answer is not what was
sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any  # documents are JSON

from powerloom.kernel.canonical import canonical

MAX_TEXT = 2000  # characters of a long text that are kept; the rest is in the documents themselves
MISSING = None


def diff(desired: Any, actual: Any) -> list[dict[str, Any]]:
    """Return `[{"path", "desired", "actual"}, …]`, in the order of the fields; empty when the two are equal."""
    return [
        {"path": ".".join(path), "desired": _short(wanted), "actual": _short(found)}
        for path, wanted, found in _walk((), desired, actual)
    ]


def _walk(path: tuple[str, ...], desired: Any, actual: Any) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    if isinstance(desired, dict) and isinstance(actual, dict):
        for key in [*desired, *(key for key in actual if key not in desired)]:
            yield from _walk((*path, str(key)), desired.get(key, MISSING), actual.get(key, MISSING))
    elif isinstance(desired, list) and isinstance(actual, list) and len(desired) == len(actual):
        for index, (wanted, found) in enumerate(zip(desired, actual, strict=True)):
            yield from _walk((*path, str(index)), wanted, found)
    elif canonical(desired) != canonical(actual):  # not ==, for which True is 1
        yield path, desired, actual


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[:MAX_TEXT]}… ({len(value)} characters)"
    return value
