"""How the rows that a command loaded stand, so that what was approved can be told from what has changed meanwhile.

A row with a `generation` is marked by it: what engines observe about it does not count. Any other is marked by all it
holds, but for the columns that the database or a mere use moves; or by what its model names in `MARKED` alone.

A row that the database numbers is known by what makes it unique instead, as the member and the group of a membership:
a set that is rolled back and run again makes the same row under another number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any  # subjects are rows of any app

from django.db.models import AutoField, BinaryField, DateTimeField, Field, Model
from pydantic import BaseModel

from powerloom.commands.registry import Mark
from powerloom.kernel.canonical import text_digest

IGNORED = frozenset({"last_used_at", "last_login", "password"})


def marks_of(subject: Any) -> list[Mark]:
    """Return a mark for every row in what a loader found: one, or several in tuples, lists and mappings."""
    return [_mark(row) for row in _rows(subject)]


def _rows(subject: Any) -> Iterator[Model]:
    if isinstance(subject, Model):
        yield subject
    elif isinstance(subject, Mapping):
        for inner in subject.values():
            yield from _rows(inner)
    elif isinstance(subject, list | tuple | set | frozenset):
        for inner in subject:
            yield from _rows(inner)
    elif isinstance(subject, BaseModel):
        return


def _mark(row: Model) -> Mark:
    generation = getattr(row, "generation", None)
    value = str(generation) if generation is not None else text_digest(repr(sorted(_values(row))))
    return Mark(row._meta.label_lower, " ".join(_identity(row)), value)


def _identity(row: Model) -> list[str]:
    unique = row._meta.total_unique_constraints
    if isinstance(row._meta.pk, AutoField) and unique:
        joined = [field for field in row._meta.concrete_fields if field.name in unique[0].fields]
        return [str(getattr(row, field.attname)) for field in joined]
    return [str(row.pk)]


def _values(row: Model) -> Iterator[tuple[str, str]]:
    deferred, marked = row.get_deferred_fields(), getattr(row, "MARKED", None)
    for field in row._meta.concrete_fields:
        counts = not _is_moved_by_use(field) if marked is None else field.attname in marked
        if counts and field.attname not in deferred:
            yield field.attname, repr(getattr(row, field.attname))


def _is_moved_by_use(field: Field[Any, Any]) -> bool:
    is_clock = isinstance(field, DateTimeField) and field.auto_now
    return is_clock or isinstance(field, AutoField | BinaryField) or field.name in IGNORED
