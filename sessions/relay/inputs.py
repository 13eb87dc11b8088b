"""What goes into a session: rows, sent in order, each once.

Before a send the row is marked as attempted. If its answer is lost, or the relay dies, the row is in doubt: the
session's events are listed first, and an input that is among them counts as sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any  # CMA's events
from uuid import UUID

from django.utils import timezone

from sessions.ingest import Hold
from sessions.models import InputKind, SessionInput


@dataclass(frozen=True)
class Input:
    """One row that is still to be sent."""

    id: UUID
    kind: str
    event: dict[str, Any]
    attempted_at: datetime | None

    @property
    def waits_for_the_turn(self) -> bool:
        return self.kind == InputKind.MESSAGE


def unsent(session_id: UUID) -> list[Input]:
    """Return the inputs that CMA has not got, oldest first."""
    rows = SessionInput.objects.filter(session=session_id, sent_at__isnull=True, refused="").order_by("pk")
    return [Input(*row) for row in rows.values_list("id", "kind", "event", "attempted_at")]


def due(waiting: Sequence[Input], *, in_turn: bool) -> Input | None:
    """Return the next one to send: interrupts and answers at once, a message when no turn is under way. Pure."""
    at_once = [one for one in waiting if not one.waits_for_the_turn]
    if at_once:
        return at_once[0]
    return waiting[0] if waiting and not in_turn else None


def attempt(hold: Hold, input_id: UUID) -> bool:
    """Mark an input as in doubt from now on. False when its session is held no longer, so that it is not ours to
    send.
    """
    rows = SessionInput.objects.filter(pk=input_id, session__in=hold.rows(), sent_at__isnull=True)
    return rows.update(attempted_at=timezone.now()) == 1


def withdraw(input_id: UUID) -> None:
    """The attempt did not reach CMA."""
    SessionInput.objects.filter(pk=input_id).update(attempted_at=None)


def sent(input_id: UUID, remote_id: str) -> None:
    """CMA has it, under this id."""
    SessionInput.objects.filter(pk=input_id).update(sent_at=timezone.now(), remote_id=remote_id)


def refuse(input_id: UUID, words: str) -> None:
    """CMA will never take it."""
    SessionInput.objects.filter(pk=input_id).update(refused=words[:1000])


def refuse_rest(session_id: UUID, words: str) -> None:
    """The session is over: nothing that waits will be sent."""
    rows = SessionInput.objects.filter(session=session_id, sent_at__isnull=True, refused="")
    rows.update(refused=words)


def sent_ids(session_id: UUID) -> set[str]:
    """Return CMA's ids of the inputs it is known to have."""
    rows = SessionInput.objects.filter(session=session_id, sent_at__isnull=False)
    return set(rows.values_list("remote_id", flat=True))


def found(doubtful: Input, listed: Iterable[dict[str, Any]], known: set[str]) -> str | None:
    """Return CMA's id of an input in doubt: the first event like it that belongs to no other input. Pure."""
    for event in listed:
        if event["id"] not in known and all(event.get(name) == value for name, value in doubtful.event.items()):
            return str(event["id"])
    return None
