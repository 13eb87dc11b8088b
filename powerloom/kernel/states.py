"""State moves: a table on the model, compare-and-set in the database, so that every race has one winner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # the extra columns that move together with the status

from django.db.models import Manager, Model

from powerloom.kernel.errors import AlreadyDecided


def sources(moves: dict[str, frozenset[str]], to: str) -> list[str]:
    """Return the states from which `to` may be reached."""
    return [old for old, news in moves.items() if to in news]


def transition(row: Any, to: str, **columns: Any) -> None:
    """Move `row` to the state `to`, with `columns` in the same UPDATE.

    Raises `AlreadyDecided` when the row is no longer in a state that may move there.
    """
    transition_all([row], to, **columns)


def transition_all(rows: Sequence[Any], to: str, **columns: Any) -> None:
    """As `transition`, for rows of one model, at least one, in one UPDATE: all of them move, or none."""
    model: type[Model] = type(rows[0])
    manager: Manager[Any] = model._default_manager
    movable = manager.filter(pk__in=[row.pk for row in rows], status__in=sources(rows[0].MOVES, to))
    if movable.update(status=to, **columns) != len(rows):
        raise AlreadyDecided(f"This {model._meta.verbose_name} can no longer become {to}.", wanted=to)
    for row in rows:
        for name, value in {"status": to, **columns}.items():
            setattr(row, name, value)
