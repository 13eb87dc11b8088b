"""Sets as the bus runs them without what is refused: neighbors of one type together, or each command for itself."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from accounts import rbac
from powerloom.commands.registry import Command, handler_of
from powerloom.commands.running import Refusals, Run
from powerloom.kernel.errors import PowerloomError
from powerloom.kernel.refs import Actor

Refused = dict[int, tuple[type[PowerloomError], str]]


def run(commands: Sequence[Command], actor: Actor, *, together: bool) -> tuple[Refused, list[Any]]:
    """Run a set without what is refused; return who was refused how, and what changed."""
    handlers = [replace(handler_of(command), is_bulk=together) for command in commands]
    refused: Refusals = {}
    cases = list(Run(commands, actor, rbac.authorize(actor, handlers), refused).cases(handlers))
    return (
        {place: (type(error), error.message) for place, error in refused.items()},
        [(case.target, case.change and (case.change.before, case.change.after)) for case in cases],
    )
