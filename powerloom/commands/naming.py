"""Names are unique among what lives in one place: asked for a whole list of new things with one query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # rows differ by kind
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Model

from powerloom.commands.registry import at_each
from powerloom.kernel.errors import NameTaken, PowerloomError


def insert_named(model: type[Model], rows: Sequence[Any], *, what: str, place: str = "ou_id") -> None:
    """Insert new rows, each with a name that is free in its place. Raises `NameTaken` for those whose is not.

    `what` is what one of them is called, with its article; `place` the column of where it lives.
    """
    wanted: list[tuple[UUID, str]] = [(getattr(row, place), row.name) for row in rows]
    there = model._default_manager.filter(
        **{f"{place}__in": {where for where, _ in wanted}, "name__in": {name for _, name in wanted}},
        archived_at__isnull=True,
    )
    taken = set(there.values_list(place, "name"))
    refused: dict[int, PowerloomError] = {}
    for number, pair in enumerate(wanted):
        if pair in taken:
            refused[number] = NameTaken(f"There is {what} {pair[1]} in this OU already.", field="name")
        taken.add(pair)
    if refused:
        raise at_each(refused)
    try:
        model._default_manager.bulk_create(rows)
    except IntegrityError as error:  # another transaction took the name since we looked
        names = " or ".join(name for _, name in wanted[:3])
        raise NameTaken(f"There is {what} {names} in this OU already.", field="name") from error
