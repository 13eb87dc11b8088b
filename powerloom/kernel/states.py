"""State moves: a table on the model, compare-and-set in the database, so that every race has one winner."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol  # Any: the extra columns that move together with the status
from uuid import UUID

from django.db.models import Manager, Model

from powerloom.kernel.errors import AlreadyDecided


class Stateful(Protocol):
    """A model with a `status` column and the table of its allowed moves, old to new."""

    MOVES: ClassVar[dict[str, frozenset[str]]]
    pk: UUID
    status: str


def sources(moves: dict[str, frozenset[str]], to: str) -> list[str]:
    """Return the states from which `to` may be reached."""
    return [old for old, news in moves.items() if to in news]


def transition(row: Any, to: str, **columns: Any) -> None:
    """Move `row` to the state `to`, with `columns` in the same UPDATE.

    Raises `AlreadyDecided` when the row is no longer in a state that may move there.
    """
    model: type[Model] = type(row)
    manager: Manager[Any] = model._default_manager
    moved = manager.filter(pk=row.pk, status__in=sources(row.MOVES, to)).update(status=to, **columns)
    if moved != 1:
        raise AlreadyDecided(f"This {model._meta.verbose_name} can no longer become {to}.", wanted=to)
    for name, value in {"status": to, **columns}.items():
        setattr(row, name, value)
