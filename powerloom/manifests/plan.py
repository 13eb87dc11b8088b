"""Planning: documents in the order of their dependencies, each a step; then the whole set tried and rolled back.

What is refused is told for the document that is refused, and what rests on it for each document that rests on it. A
plan makes no outbound call and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any  # JSON

from django.conf import settings
from pydantic import ValidationError

from powerloom.commands.bus import preview
from powerloom.commands.registry import Command
from powerloom.kernel.errors import Denied, NotFound, PowerloomError
from powerloom.kernel.refs import Actor
from powerloom.manifests import parse
from powerloom.manifests.documents import Document, validated
from powerloom.manifests.planners import PLANNERS
from powerloom.manifests.scene import Missing, Scene
from powerloom.manifests.steps import Step, Unfit, Verb


@dataclass
class Plan:
    """The steps, in the order in which they would be applied, and what the set as a whole would meet."""

    steps: list[Step]
    held_by: list[str] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def commands(self) -> list[Command]:
        """The whole set, in order."""
        return [command for step in self.steps for command in step.commands]

    @property
    def is_fit(self) -> bool:
        """Whether every document could be applied, held or not."""
        return all(step.verb not in {Verb.DENIED, Verb.INVALID} for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        counted = Counter(step.verb.value for step in self.steps)
        return {
            "resources": [step.as_json() for step in self.steps],
            "summary": {verb.value: counted[verb.value] for verb in Verb if counted[verb.value]},
            "would_hold": bool(self.held_by),
            "held_by": self.held_by,
            "cma_calls": len(self.calls),
            "cma_minutes": _minutes(self.calls),
        }


def plan(text: bytes, actor: Actor) -> Plan:
    """Return what a manifest would do for this actor. Raises `Invalid` when it cannot be read."""
    documents = validated(parse.read(text))
    scene = Scene(actor, documents)
    planned = Plan([_step(document, scene) for document in sorted(documents, key=_order)])
    _try(planned, actor)
    return planned


def _order(document: Document) -> tuple[int, int, int]:
    depth = document.address.count("/") if document.kind.name == "OU" else 0
    return document.kind.rank, depth, document.raw.line


def _step(document: Document, scene: Scene) -> Step:
    try:
        return PLANNERS[document.kind.name](document, scene)
    except Missing as missing:
        return Step(document, Verb.INVALID, why=f"{missing}.".capitalize())
    except Unfit as unfit:
        line = document.line_of(*unfit.path)
        return Step(document, Verb.INVALID, why=f"Line {line}: {unfit.words}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        words = first["msg"].removeprefix("Value error, ")
        return Step(document, Verb.INVALID, why=f"{'.'.join(map(str, first['loc']))}: {words}")


def _try(planned: Plan, actor: Actor) -> None:
    """Run the set and roll it back; whatever is refused is marked and left out, and the rest is tried again."""
    while commands := planned.commands:
        try:
            found = preview(commands, actor=actor)
        except PowerloomError as error:
            _mark(planned, error)
            continue
        planned.calls = found.calls
        if found.held:
            planned.held_by = found.held["policies"]
            _mark_held(planned.steps, set(found.held["commands"]))
        return


def _mark(planned: Plan, error: PowerloomError) -> None:
    step = _step_at(planned.steps, error.position or 0)
    is_denied = isinstance(error, Denied | NotFound)
    step.verb, step.why, step.commands = (Verb.DENIED if is_denied else Verb.INVALID), error.message, []


def _step_at(steps: Sequence[Step], position: int) -> Step:
    for step in steps:
        if position < len(step.commands):
            return step
        position -= len(step.commands)
    raise IndexError(position)


def _mark_held(steps: Sequence[Step], positions: set[int]) -> None:
    for position in positions:
        step = _step_at(steps, position)
        step.why = step.why or f"An approval policy holds this {step.verb.value}."
        step.verb = Verb.HELD


def _minutes(calls: Sequence[dict[str, Any]]) -> float | None:
    """Return how long the runtime's rate budget makes these calls take; None where nothing is limited."""
    if not settings.CMA_RATES:
        return None
    return round(len(calls) / settings.CMA_RATES["create"], 2)
