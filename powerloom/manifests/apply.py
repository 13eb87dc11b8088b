"""Applying: the whole manifest is one set of commands, all of it or nothing; on request each document for itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any  # JSON
from uuid import UUID

from agents import probing
from agents.commands import CreateServer
from agents.handshakes import HandshakeFailed
from powerloom.commands.bus import submit_all
from powerloom.commands.idempotency import Key
from powerloom.commands.registry import Command, Held
from powerloom.kernel.errors import Invalid, PowerloomError
from powerloom.kernel.refs import Actor
from powerloom.manifests.plan import Plan
from powerloom.manifests.steps import Step, Verb, ids_in, made_by

STATUSES = {Verb.NOOP: "noop", Verb.DENIED: "denied"}


@dataclass
class Applied:
    """What came of each step, and the request that holds the set, if one does."""

    plan: Plan
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    request: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return {"resources": self.outcomes, "request": self.request}


def apply(plan: Plan, actor: Actor, *, strict: bool, best_effort: bool, key: Key | None) -> Applied:
    """Apply a plan. Raises `Invalid` when a document cannot be applied, naming each; then nothing was applied."""
    if not best_effort and not plan.is_fit:
        raise _unfit(plan)
    _shake_hands(plan, actor, strict=strict)
    return _each(plan, actor) if best_effort else _whole(plan, actor, key)


def _whole(plan: Plan, actor: Actor, key: Key | None) -> Applied:
    commands = [command for command, _ in plan.parts]
    held = submit_all(commands, actor=actor, key=key) if commands else None
    done = "held" if isinstance(held, Held) else "applied"
    request = held.request if isinstance(held, Held) else None
    return Applied(plan, [_outcome(step, done if step.commands else "noop") for step in plan.steps], request)


def _each(plan: Plan, actor: Actor) -> Applied:
    """Each document by itself; what one that failed would have made is not there for those that name it."""
    applied = Applied(plan)
    unmade: dict[UUID, str] = {}
    for step in plan.steps:
        outcome = _alone(step, _with_record(step, plan), actor, unmade)
        if outcome["status"] not in {"applied", "noop"}:
            unmade |= dict.fromkeys(made_by(step.commands), step.document.address)
        applied.outcomes.append(outcome)
    return applied


def _with_record(step: Step, plan: Plan) -> list[Command]:
    """Return a step's commands with what they mean to the set of manifests, said while the thing is there."""
    record = plan.records([step])
    return [*record, *step.commands] if step.act == Verb.DELETE else [*step.commands, *record]


def _alone(step: Step, commands: Sequence[Command], actor: Actor, unmade: Mapping[UUID, str]) -> dict[str, Any]:
    if not commands:
        return _outcome(step, STATUSES.get(step.verb, "failed"))
    if lacking := [unmade[id_] for id_ in ids_in(step.commands) if id_ in unmade]:
        step.why = f"It rests on {lacking[0]}, which was not made."
        return _outcome(step, "failed")
    try:
        outcome = submit_all(commands, actor=actor)
    except PowerloomError as error:
        step.note(error)
        return _outcome(step, STATUSES.get(step.verb, "failed"))
    if isinstance(outcome, Held):
        return _outcome(step, "held", outcome.request)
    return _outcome(step, "applied" if step.commands else "noop")


def _shake_hands(plan: Plan, actor: Actor, *, strict: bool) -> None:
    """Look at every foreign server that is to be registered; one that does not answer is registered unverified."""
    assert actor.organization_id is not None, "whoever applies belongs to an organization"
    asked = [
        (step, place, command)
        for step in plan.steps
        for place, command in enumerate(step.commands)
        if isinstance(command, CreateServer) and command.url
    ]
    if not asked:
        return
    answers = probing.discover_each([command.url for _, _, command in asked], organization_id=actor.organization_id)
    for (step, place, command), found in zip(asked, answers, strict=True):
        if not isinstance(found, HandshakeFailed):
            step.commands[place] = command.model_copy(update={"discovery_id": found})
            continue
        words = f"The MCP handshake failed at {found.step}: {found.words}."
        if strict:
            raise Invalid(f"Line {step.document.raw.line}: {words}", field="manifest") from found
        step.warnings.append(f"{words} It is registered as unverified and looked at again.")


def _unfit(plan: Plan) -> Invalid:
    wrong = [step for step in plan.steps if step.verb in {Verb.DENIED, Verb.INVALID}]
    problems = [
        {
            "line": step.document.raw.line,
            "resource": f"{step.document.kind.name} {step.document.address}",
            "problem": step.why,
        }
        for step in wrong
    ]
    first = problems[0]
    words = f"Nothing was applied. Line {first['line']}, {first['resource']}: {first['problem']}"
    return Invalid(words, field="manifest", problems=problems)


def _outcome(step: Step, status: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    said = {"why": request["message"], "explain": request["explain"]} if request else {}
    return step.as_json() | said | {"status": status, "request": request}
