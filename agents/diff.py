"""What differs between two JSON objects, field by field: for versions, drift, the console and the API. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any  # the two sides are JSON

ABSENT = object()


@dataclass(frozen=True)
class FieldDiff:
    """One place that differs. `path` is written with dots; a side where the field was absent is left out."""

    path: str
    before: Any = ABSENT
    after: Any = ABSENT

    def as_json(self) -> dict[str, Any]:
        sides = {"before": self.before, "after": self.after}
        return {"field": self.path, **{side: value for side, value in sides.items() if value is not ABSENT}}


def diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[FieldDiff]:
    """Return every place where the two differ, sorted by path.

    Objects are compared inside, lists and everything else as a whole; `1` and `true` differ, as they do in JSON.
    """
    return sorted(_differences(before, after, ""), key=lambda found: found.path)


def _differences(before: Mapping[str, Any], after: Mapping[str, Any], above: str) -> Iterator[FieldDiff]:
    for name in {*before, *after}:
        old, new = before.get(name, ABSENT), after.get(name, ABSENT)
        path = f"{above}{name}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _differences(old, new, f"{path}.")
        elif not _same(old, new):
            yield FieldDiff(path, old, new)


def _same(old: Any, new: Any) -> bool:
    """Python says `1 == True`, JSON does not."""
    if isinstance(old, bool) != isinstance(new, bool):
        return False
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_same(old[name], new[name]) for name in old)
    return bool(old == new)
