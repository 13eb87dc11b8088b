"""Versions: every change of what an agent should be makes one, and any old one can be made the newest again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any  # audit payloads are JSON

from django.utils import timezone
from pydantic import ValidationError

from agents import convergence, queries
from agents.actions import Action
from agents.models import Agent, AgentVersion
from agents.queries.agents import version_of
from agents.spec import AgentSpec
from powerloom.commands.registry import Change, Need
from powerloom.kernel.errors import Invalid
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Actor, Target


def use_needs(agent: Agent, action: Action, target: Target) -> tuple[Need, Need]:
    """Return whose right it takes that this agent gets this thing: the actor's, and that of the agent's principal."""
    return Need(action, target), Need(action, target, principal_id=queries.acting_principal_id(agent))


def first_versions(new: Iterable[tuple[Agent, AgentSpec]], *, actor: Actor) -> None:
    """Write version 1 of new agents."""
    AgentVersion.objects.bulk_create(_version(agent, spec.as_json(), actor) for agent, spec in new)


def next_version(
    agent: Agent, spec: AgentSpec, *, actor: Actor, restored_from: int | None = None, urgent: bool = False
) -> Change:
    """Make the spec the agent's newest version, unless it is the newest already. Returns what differs, by field."""
    before = version_of(agent, agent.version).spec
    (change,) = next_versions([(agent, before, spec)], actor=actor, restored_from=restored_from, urgent=urgent)
    return change


def next_versions(
    wanted: Iterable[tuple[Agent, dict[str, Any], AgentSpec]],
    *,
    actor: Actor,
    restored_from: int | None = None,
    urgent: bool = False,
) -> list[Change]:
    """As `next_version`, for many agents at once, each with the spec of before."""
    changes, moved, versions = [], {}, []
    for agent, before, spec in wanted:
        after = spec.as_json()
        fields = [name for name in after if before.get(name) != after[name]]
        if fields:
            agent.version, agent.generation = agent.version + 1, agent.generation + 1
            agent.display_name, agent.updated_at = spec.display_name, timezone.now()
            moved[agent.id] = agent
            versions.append(_version(agent, after, actor, restored_from))
        changes.append(Change(agent, _sides(before, fields), _sides(after, fields) | {"version": agent.version}))
    if moved:
        Agent.objects.bulk_update(moved.values(), ["version", "generation", "display_name", "updated_at"])
        AgentVersion.objects.bulk_create(versions)
        convergence.agents_changed(moved, urgent=urgent)
    return changes


def within_limits(change: Callable[[AgentSpec], AgentSpec], spec: AgentSpec) -> AgentSpec:
    """Return the spec after `change`. Raises `Invalid` naming the field when the whole is over a limit."""
    try:
        return change(spec)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        raise Invalid(first["msg"].removeprefix("Value error, "), field=field or None) from error


def _version(agent: Agent, spec: dict[str, Any], actor: Actor, restored_from: int | None = None) -> AgentVersion:
    return AgentVersion(
        id=new_id(),
        agent=agent,
        number=agent.version,
        spec=spec,
        author_ref=actor.ref,
        restored_from=restored_from,
    )


def _sides(spec: dict[str, Any], fields: list[str]) -> dict[str, Any]:
    return {name: spec.get(name) for name in fields}
