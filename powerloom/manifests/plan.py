"""Planning: documents in the order of their dependencies, each a step; then the whole set tried and rolled back.

What is refused is told for the document that is refused, and what rests on it for each document that rests on it. A
plan makes no outbound call and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any  # JSON
from uuid import UUID

from pydantic import ValidationError

from powerloom.commands.bus import preview
from powerloom.commands.registry import Command
from powerloom.kernel.errors import PowerloomError
from powerloom.kernel.explanation import Explanation, Fact, Remedy
from powerloom.kernel.refs import Actor
from powerloom.manifests import parse
from powerloom.manifests.documents import Document, validated
from powerloom.manifests.planners import PLANNERS
from powerloom.manifests.planners.removals import removal
from powerloom.manifests.scene import Missing, Scene
from powerloom.manifests.steps import Planner, Step, Unfit, Verb, ids_in
from powerloom.reconcile import forecast


@dataclass
class Plan:
    """The steps, in the order in which they would be applied, and what the set as a whole would meet."""

    steps: list[Step]
    held_by: list[str] = field(default_factory=list)
    calls: dict[forecast.Thing, str] = field(default_factory=dict)

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
            "cma_minutes": forecast.minutes(self.calls.values()),
        }


def plan(text: bytes, actor: Actor) -> Plan:
    """Return what a manifest would do for this actor. Raises `Invalid` when it cannot be read."""
    documents = validated(parse.read(text))
    scene = Scene(actor, documents)
    return _tried([_step(document, scene, _making) for document in sorted(documents, key=_order)], actor)


def plan_removal(text: bytes, actor: Actor) -> Plan:
    """Return what taking away everything that a manifest names would do: what rests on others goes first."""
    documents = validated(parse.read(text))
    scene = Scene(actor, documents)
    return _tried([_step(document, scene, removal) for document in sorted(documents, key=_order, reverse=True)], actor)


def _order(document: Document) -> tuple[int, int, int]:
    depth = document.address.count("/") if document.kind.name == "OU" else 0
    return document.kind.rank, depth, document.raw.line


def _making(document: Document, scene: Scene) -> Step:
    return PLANNERS[document.kind.name](document, scene)


def _step(document: Document, scene: Scene, planner: Planner) -> Step:
    try:
        return planner(document, scene)
    except Missing as missing:
        return Step(document, Verb.INVALID, why=f"{missing}.".capitalize())
    except Unfit as unfit:
        line = document.line_of(*unfit.path)
        return Step(document, Verb.INVALID, why=f"Line {line}: {unfit.words}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        words = first["msg"].removeprefix("Value error, ")
        return Step(document, Verb.INVALID, why=f"{'.'.join(map(str, first['loc']))}: {words}")


def _tried(steps: list[Step], actor: Actor) -> Plan:
    """Run the set and roll it back; whatever is refused is marked and left out, and the rest is tried again."""
    planned = Plan(steps)
    while commands := planned.commands:
        try:
            found = preview(commands, actor=actor)
        except PowerloomError as error:
            refused = _step_at(steps, error.position or 0)
            refused.note(error)
            refused.commands = []
            continue
        planned.calls = forecast.classes_of(found.calls)
        _share(steps, planned.calls)
        if found.held:
            planned.held_by = found.held["policies"]
            _mark_held(steps, found.held)
        break
    return planned


def _step_at(steps: Sequence[Step], position: int) -> Step:
    for step in steps:
        if position < len(step.commands):
            return step
        position -= len(step.commands)
    raise IndexError(position)


def _mark_held(steps: Sequence[Step], held: Mapping[str, Any]) -> None:
    names: dict[int, set[str]] = {}
    for position in held["commands"]:
        step = _step_at(steps, position)
        names.setdefault(id(step), set()).update(held["by"].get(str(position), ()))
        step.verb = Verb.HELD
    for step in steps:
        if step.verb == Verb.HELD:
            _explain_hold(step, sorted(names[id(step)]))


def _explain_hold(step: Step, policies: Sequence[str]) -> None:
    """Say which policies hold a step. What they look at is told by the request, to who may read it."""
    step.why = f"Held by {', '.join(policies)}: this {step.act.value} waits for approval."
    facts = tuple(Fact("policy", f"the policy {name} holds it", decides=True) for name in policies)
    remedy = Remedy("approve", "Apply it: one request opens for the whole set, and its approvers decide.")
    step.explain = Explanation(facts, (remedy,)).as_json()


def _share(steps: Iterable[Step], calls: Mapping[forecast.Thing, str]) -> None:
    """Give every call to the first step that names what it is about; what is reached beyond them counts in the sum."""
    by_id: dict[UUID, list[str]] = {}
    for (_, id_), call_class in calls.items():
        by_id.setdefault(id_, []).append(call_class)
    for step in steps:
        mine = [call_class for id_ in ids_in(step.commands) for call_class in by_id.pop(id_, ())]
        step.calls, step.minutes = len(mine), forecast.minutes(mine)
