"""Whether an agent can be invoked now, and if not, what is missing, in words.

An agent is live when what CMA has is what its latest version asks for and the organization's environment is there too.
An older version that was pushed once stays invocable by its number, because CMA keeps every version.

A credential that is missing does not stand in the way: a session that goes without its tools is told of. But one that
is on its way for the first time is waited for, and so is the vault that it goes into.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, Subquery, UUIDField

from agents.kinds import SyncKind
from agents.models import Agent, AgentVersion, Credential
from powerloom.kernel.errors import NotFound, NotReady
from powerloom.reconcile.models import SyncState


@dataclass(frozen=True)
class Readiness:
    """What one agent is now. `why` is empty when it is live; `checks` are what was looked at in turn, each with what is
    missing; `cma_version` is what CMA has last.
    """

    live: bool
    why: str
    agent_version: int
    cma_agent_id: str
    cma_version: str
    checks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Pin:
    """What a session is made from: our version, and CMA's ids and version of it."""

    agent_version: int
    cma_agent_id: str
    cma_version: int
    cma_environment_id: str
    cma_vault_id: str  # empty when the agent has no credential


def of(agents: Sequence[Agent]) -> dict[UUID, Readiness]:
    """Return the readiness of each agent, by id; three queries for any number of them."""
    states = _states(SyncKind.AGENT, [agent.id for agent in agents])
    environments = _states(SyncKind.ENVIRONMENT, {agent.organization_id for agent in agents})
    coming = _coming(agents)
    return {
        agent.id: _readiness(
            agent, states.get(agent.id), environments.get(agent.organization_id), coming.get(agent.id, "")
        )
        for agent in agents
    }


def pin(agent: Agent, *, version: int | None = None) -> Pin:
    """Return what a session of the agent is to be made from: its latest version, or the older one named.

    Raises `NotReady` naming what is missing, and `NotFound` when the agent never had that version.
    """
    state = _states(SyncKind.AGENT, [agent.id]).get(agent.id)
    environment = _states(SyncKind.ENVIRONMENT, [agent.organization_id]).get(agent.organization_id)
    if version is None or version == agent.version:
        number, cma_version, why = agent.version, state.remote_version if state else "", missing("agent", state)
    else:
        number, cma_version, why = version, *_pushed(agent, version)
    if why := why or missing("environment", environment) or _coming([agent]).get(agent.id, ""):
        raise NotReady(f"{agent.name} is not live yet: {why}.", why=why)
    assert state is not None
    assert environment is not None
    return Pin(number, state.remote_id, int(cma_version), environment.remote_id, vault_of(agent.id))


def vault_of(agent_id: UUID) -> str:
    """Return CMA's id of the vault that a session of the agent is given now; empty while it has none.

    One whose last credential is gone is on its way out, so it is given to nobody.
    """
    if not Credential.objects.filter(agent_id=agent_id, archived_at__isnull=True).exists():
        return ""
    vault = _states(SyncKind.VAULT, [agent_id]).get(agent_id)
    return vault.remote_id if vault else ""


def _pushed(agent: Agent, number: int) -> tuple[str, str]:
    version = AgentVersion.objects.filter(agent=agent, number=number).first()
    if version is None:
        raise NotFound
    return version.cma_version, "" if version.cma_version else f"version {number} was never pushed to the runtime"


def _states(kind: SyncKind, ids: Iterable[UUID]) -> dict[UUID, SyncState]:
    return {state.object_id: state for state in SyncState.objects.filter(kind=kind, object_id__in=list(ids))}


def _coming(agents: Sequence[Agent]) -> dict[UUID, str]:
    """Return, by agent, what of its vault is being pushed for the first time, in words; one query.

    What is parked, or waits for a vault that is, is not waited for: nobody knows how long that takes.
    """
    ids, organizations = [agent.id for agent in agents], {agent.organization_id for agent in agents}
    due = SyncState.objects.filter(organization_id__in=organizations, is_due=True, remote_id="", waits_for="")
    held = Credential.objects.filter(pk=OuterRef("object_id"), agent__in=ids, archived_at__isnull=True)
    rows = due.filter(Q(kind=SyncKind.VAULT, object_id__in=ids) | Q(Exists(held), kind=SyncKind.CREDENTIAL))
    owner = Subquery(held.values("agent")[:1], output_field=UUIDField())
    owned = rows.annotate(agent=owner, server=Subquery(held.values("server__name")[:1]))
    found: dict[UUID, str] = {}
    for kind, object_id, agent_id, server in owned.values_list("kind", "object_id", "agent", "server"):
        is_vault = kind == SyncKind.VAULT
        words = "the vault" if is_vault else f"the credential for {server}"
        found[object_id if is_vault else agent_id] = f"{words} is waiting to be pushed"
    return found


def _readiness(agent: Agent, state: SyncState | None, environment: SyncState | None, coming: str) -> Readiness:
    checks = (
        ("agent", missing("agent", state)),
        ("environment", missing("environment", environment)),
        ("vault", coming),
    )
    why = next((missing for _, missing in checks if missing), "")
    return Readiness(
        live=not why,
        why=why,
        agent_version=agent.version,
        cma_agent_id=state.remote_id if state else "",
        cma_version=state.remote_version if state else "",
        checks=checks,
    )


def missing(what: str, state: SyncState | None) -> str:
    """Return why this object is not as it should be on CMA, or "" when it is."""
    if state is None:
        return f"the {what} is not known to the reconciler"
    if state.parked_at is not None:
        return f"the {what} is parked ({state.last_error or state.condition or 'no reason recorded'})"
    if state.waits_for:
        return f"the {what} waits for {state.waits_for}"
    if state.drift is not None:
        return f"the {what} was changed on the runtime and is being put right"
    if not state.desired_hash or state.desired_hash != state.actual_hash:
        return f"the {what} is waiting to be pushed" + (f" ({state.last_error})" if state.last_error else "")
    return ""
