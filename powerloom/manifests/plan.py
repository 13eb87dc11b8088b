"""Planning: documents in the order of their dependencies, each a step; then the whole set tried and rolled back.

What is refused is told for the document that is refused, and what rests on it for each document that rests on it. A
plan makes no outbound call and changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any  # JSON
from uuid import UUID

from pydantic import ValidationError

from accounts.models import Sealed
from agents.commands import (
    ActivateSkillVersion,
    ArchiveServer,
    AttachServer,
    AttachSkill,
    CreateCredential,
    CreateServer,
)
from powerloom.commands.bus import preview
from powerloom.commands.registry import Command
from powerloom.commands.running import Refusals
from powerloom.kernel.errors import Invalid
from powerloom.kernel.explanation import Explanation, Fact, Remedy
from powerloom.kernel.refs import Actor
from powerloom.manifests import parse
from powerloom.manifests.documents import Document, validated
from powerloom.manifests.planners import PLANNERS
from powerloom.manifests.planners.removals import removal
from powerloom.manifests.scene import Missing, Scene
from powerloom.manifests.sets import Membership, member_of
from powerloom.manifests.steps import Planner, Step, Unfit, Verb, ids_in, made_by
from powerloom.reconcile import forecast

Part = tuple[Command, Step | None]


@dataclass(frozen=True)
class Wish:
    """How a manifest is meant. `prune` takes away what the set has and no document names; `destroy`, what they name."""

    set_name: str = ""
    prune: bool = False
    destroy: bool = False


@dataclass
class Plan:
    """The steps, in the order in which they would be applied, and what the set as a whole would meet."""

    steps: list[Step]
    scene: Scene
    membership: Membership | None = None
    held_by: list[str] = field(default_factory=list)
    explain: dict[str, Any] | None = None
    calls: dict[forecast.Thing, str] = field(default_factory=dict)

    @property
    def parts(self) -> list[Part]:
        """The whole set, in order, each command with its step. What belongs to the set is recorded between what is made
        and what is taken away: the OUs of both are there.
        """
        made = _parts(step for step in self.steps if step.act != Verb.DELETE)
        gone = _parts(step for step in self.steps if step.act == Verb.DELETE)
        return [*made, *((command, None) for command in self.records(self.steps)), *gone]

    def records(self, steps: Sequence[Step]) -> list[Command]:
        """Return what makes the set of manifests hold what these steps leave."""
        return self.membership.records(steps, self.scene) if self.membership else []

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
            "explain": self.explain,
            "cma_calls": len(self.calls),
            "cma_minutes": forecast.minutes(self.calls.values()),
        }


def plan(text: bytes, actor: Actor, wish: Wish) -> Plan:
    """Return what a manifest would do for this actor. Raises `Invalid` when it cannot be read."""
    if wish.prune and not wish.set_name:
        raise Invalid("Name the set to prune: set=NAME.", field="set")
    documents = validated(parse.read(text))
    membership = Membership.of(wish.set_name, actor) if wish.set_name else None
    gone = membership.documents(documents) if membership and wish.prune else []
    scene = Scene(actor, [*documents, *gone])
    planned = Plan(_steps(documents, scene, wish) + _pruned(gone, scene, membership), scene, membership)
    Sealed.objects.bulk_create(scene.sealed)
    _try(planned, actor)
    return planned


def _steps(documents: Iterable[Document], scene: Scene, wish: Wish) -> list[Step]:
    planner = removal if wish.destroy else _making
    steps = [_step(document, scene, planner) for document in sorted(documents, key=_order, reverse=wish.destroy)]
    for step in steps if wish.set_name else ():
        step.member, step.leaves = member_of(step.document, scene), wish.destroy
    return steps


def _pruned(gone: Iterable[Document], scene: Scene, membership: Membership | None) -> list[Step]:
    """Return a step for each thing of the set that left the manifest and that the actor sees."""
    steps = []
    for document in sorted(gone, key=_order, reverse=True):
        member = member_of(document, scene)
        if membership is None or member is None or not membership.holds(member):
            continue
        if membership.is_shared(member):
            step = Step(document, Verb.NOOP, why="Another set names it too, so it only leaves this one.")
        else:
            step = _step(document, scene, removal)
        step.member, step.leaves = member, True
        steps.append(step)
    return steps


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


# What follows in a document's own commands; the others, which make, change or end the thing itself, come first.
FOLLOWING = (ActivateSkillVersion, CreateServer, ArchiveServer, AttachSkill, AttachServer, CreateCredential)


def _parts(steps: Iterable[Step]) -> list[Part]:
    """Return the commands of steps in order, within a kind those of one type side by side: they run together."""
    parts: list[Part] = []
    for _, of_kind in groupby(steps, key=lambda step: step.document.kind.rank):
        parts += sorted(((command, step) for step in of_kind for command in step.commands), key=_turn)
    return parts


def _turn(part: Part) -> tuple[int, str]:
    of = type(part[0])
    return FOLLOWING.index(of) if of in FOLLOWING else -1, of.__name__


def _try(planned: Plan, actor: Actor) -> None:
    """Run the set and roll it back; whatever is refused is marked and left out, and the rest is tried again."""
    while parts := planned.parts:
        refused: Refusals = {}
        found = preview([command for command, _ in parts], actor=actor, refused=refused)
        if refused:
            _note(parts, refused)
            continue
        planned.calls = forecast.classes_of(found.calls)
        _share(planned.steps, planned.calls)
        if found.held:
            planned.held_by, planned.explain = found.held["policies"], found.held["explain"]
            _mark_held([step for _, step in parts], found.held)
        return


def _note(parts: Sequence[Part], refused: Refusals) -> None:
    """Mark the steps that were refused. One that rests on another of them says so."""
    unmade: dict[UUID, str] = {}
    if all(parts[place][1] is None for place in refused):  # only what the set itself is to record
        raise next(iter(refused.values()))
    for place, error in sorted(refused.items()):
        command, step = parts[place]
        if step is None or not step.commands:
            continue
        step.note(error)
        if lacking := [unmade[id_] for id_ in ids_in([command]) if id_ in unmade]:
            step.why = f"It rests on {lacking[0]}, which cannot be made."
        unmade |= dict.fromkeys(made_by(step.commands), step.document.address)
        step.commands = []


def _mark_held(steps: Sequence[Step | None], held: Mapping[str, Any]) -> None:
    names: dict[int, set[str]] = {}
    for position in held["commands"]:
        step = steps[position]
        if step is not None:
            names.setdefault(id(step), set()).update(held["by"].get(str(position), ()))
            step.verb = Verb.HELD
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
