"""Running the commands of a set inside its transaction, in their order: load and lock, authorize, apply.

Neighbors of one type are taken together where their handler takes lists: all are loaded, then all are authorized, then
all are applied, so that their queries do not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any  # handlers differ by command

from django.db import transaction

from powerloom.commands.marks import marks_of
from powerloom.commands.registry import Case, Command, Handler
from powerloom.kernel.errors import Denied, NotFound, PowerloomError
from powerloom.kernel.refs import Actor, Target

Verdict = dict[str, Any] | PowerloomError
Authorize = Callable[[Sequence[Case]], Sequence[Verdict]]
Refusals = dict[int, PowerloomError]


class Refused(Exception):
    """Carries a refusal out together with what was asked, for the audit."""

    def __init__(self, error: Denied | NotFound, command: Command, target: Target | None) -> None:
        self.error = error
        self.command = command
        self.target = target


class Run:
    """One run of a set. With `refused`, what cannot pass is noted there by its position and left out; without, it is
    raised: as `Refused` when the audit must know of it.
    """

    def __init__(
        self, commands: Sequence[Command], actor: Actor, authorize: Authorize, refused: Refusals | None
    ) -> None:
        self._commands = commands
        self._actor = actor
        self._authorize = authorize
        self._refused = refused

    def cases(self, handlers: Sequence[Handler[Any]]) -> Iterator[Case]:
        """Run the commands, each with its handler, and return their cases."""
        for handler, places in _together(handlers):
            yield from self._tried(handler, places)

    def _tried(self, handler: Handler[Any], places: list[int]) -> Sequence[Case]:
        while places:
            before = None if self._refused is None else transaction.savepoint()
            opened = self._opened(handler, places)
            failed = self._failed_to_apply(handler, opened)
            if not failed:
                if before is not None:
                    transaction.savepoint_commit(before)
                return list(opened.values())
            assert before is not None, "a refusal that is not noted was raised"
            # Some of the others were applied already: the rest is run again as if these had not been asked.
            transaction.savepoint_rollback(before)
            places = [place for place in opened if place not in failed]
        return []

    def _opened(self, handler: Handler[Any], places: Sequence[int]) -> dict[int, Case]:
        opened: dict[int, Case] = {}
        asked = [self._commands[place] for place in places]
        try:
            subjects = handler.load(asked, self._actor)
        except PowerloomError as error:
            self._fail(places[0], error, None)
            return {}
        failed: dict[int, tuple[PowerloomError, Target | None]] = {}
        for place, command, subject in zip(places, asked, subjects, strict=True):
            if isinstance(subject, PowerloomError):
                failed[place] = subject, None
            else:
                opened[place] = Case(command, self._actor, handler, subject, marks_of(subject.row))
        for (place, case), verdict in zip(opened.items(), self._authorize(list(opened.values())), strict=True):
            if isinstance(verdict, PowerloomError):
                failed[place] = verdict, case.target
            else:
                case.decision = verdict
        for place in sorted(failed):
            self._fail(place, *failed[place])
        return {place: case for place, case in opened.items() if place not in failed}

    def _failed_to_apply(self, handler: Handler[Any], opened: dict[int, Case]) -> set[int]:
        """Apply what was opened; return the places of those that could not be, which undo the others with them."""
        cases = list(opened.values())
        try:
            commands, subjects = [case.command for case in cases], [case.subject for case in cases]
            changes = handler.apply(commands, subjects=subjects, actor=self._actor) if cases else ()
        except PowerloomError as error:
            places = list(opened)
            failed = {places[nth]: one for nth, one in (error.together or {error.position or 0: error}).items()}
            for place in sorted(failed):
                self._fail(place, failed[place], opened[place].target)
            return set(failed)
        for case, change in zip(cases, changes, strict=True):
            case.change = change
        return set()

    def _fail(self, place: int, error: PowerloomError, target: Target | None) -> None:
        error.position = place
        if self._refused is not None:
            self._refused[place] = error
            return
        if isinstance(error, Denied | NotFound):
            raise Refused(error, self._commands[place], target) from error
        raise error


def _together(handlers: Sequence[Handler[Any]]) -> Iterator[tuple[Handler[Any], list[int]]]:
    """Return the places of the commands in their order: neighbors of one type at once, where they are handled so."""

    def key(place: int) -> tuple[str, int]:
        handler = handlers[place]
        return handler.action, -1 if handler.is_bulk else place

    for _, places in groupby(range(len(handlers)), key):
        found = list(places)
        yield handlers[found[0]], found
