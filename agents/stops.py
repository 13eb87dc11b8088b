"""Why something is not on the runtime as it should be, in the shape that every explanation has.

The facts come in the order in which they are asked; the first that says no decides. What comes right by itself has a
remedy that names nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Q

from accounts.granters import who_may
from agents.actions import Action
from agents.kinds import SyncKind
from agents.models import DeploymentStatus, MCPDeployment, MCPServer, ServerState
from powerloom.kernel.explanation import Explanation, Fact, Remedy
from powerloom.kernel.refs import Target
from powerloom.reconcile.models import Lane, SyncState

Check = tuple[str, str]
"""What was looked at ("agent", "environment", "vault"), and what is missing about it, in words."""

RESETS = {
    "agent": Action.AGENT_RESET_SYNC,
    "skill": Action.SKILL_RESET_SYNC,
    "credential": Action.CREDENTIAL_RESET_SYNC,
}
OPERATOR = Remedy("operator", "Have the operator of the installation look at the runtime.")
WAIT = Remedy("wait", "Wait: it is looked at again by itself.")


def of_sync(target: Target, checks: Sequence[Check], state: SyncState | None) -> Explanation:
    """Return why an object, whose own row is `state`, is not live; without a deciding fact when it is. At most three
    queries, none when it is live.
    """
    facts, stop = _facts(checks)
    if stop is None:
        return Explanation(tuple(facts))
    lane = _lane(target.organization_id, state) if stop == checks[0][0] else None
    if lane:
        account = Fact("account", f"the runtime refuses the organization's account: {lane.sentence}", decides=True)
        return Explanation((account, *(Fact(fact.kind, fact.text) for fact in facts)), (OPERATOR,))
    return Explanation(tuple(facts), (_step(stop, target, state),))


def of_deployment(row: MCPDeployment) -> Explanation:
    """Return how far a deployment came, and what stopped it; at most one query."""
    facts = [Fact(one["step"], one["words"] or one["step"], decides=not one["ok"]) for one in row.steps]
    status = DeploymentStatus(row.status)
    if status == DeploymentStatus.RUNNING:
        return Explanation((Fact("status", "the fleet serves it"),))
    if not any(fact.decides for fact in facts):
        facts.append(Fact("status", row.status_reason or f"it is {status}", decides=True))
    if status == DeploymentStatus.FAILED:
        who = who_may(Action.MCP_DEPLOYMENT_RETRY, row.ou.path, row.organization_id)
        return Explanation(tuple(facts), (Remedy("retry", "Put right what failed, then retry it.", tuple(who)),))
    is_coming = status in {DeploymentStatus.PENDING, DeploymentStatus.DEPLOYING}
    return Explanation(tuple(facts), (WAIT,) if is_coming else ())


def of_server(row: MCPServer, *, flagged: int) -> Explanation:
    """Return what the last look at a server found, and which of its tools are off for it; at most two queries."""
    facts, remedy = [_handshake(row)], []
    if facts[0].decides:
        who = who_may(Action.MCP_SERVER_PROBE, row.ou.path, row.organization_id)
        remedy.append(Remedy("probe", "Put it right at the server, then have it looked at again.", tuple(who)))
    if flagged:
        facts.append(Fact("pins", f"{flagged} tools are off: they are not what was pinned"))
        who = who_may(Action.MCP_SERVER_PIN, row.ou.path, row.organization_id)
        remedy.append(Remedy("pin", "Look at them and pin them again.", tuple(who)))
    return Explanation(tuple(facts), tuple(remedy))


def _handshake(row: MCPServer) -> Fact:
    if row.deployment_id is not None:
        return Fact("deployment", "its deployment says how it stands")
    if row.state == ServerState.VERIFIED:
        return Fact("handshake", "the last handshake succeeded")
    error = row.probe_error
    text = f"{error['step']}: {error['words']}" if error else "nobody has talked to it yet"
    return Fact("handshake", text, decides=True)


def _facts(checks: Sequence[Check]) -> tuple[list[Fact], str | None]:
    """Return a fact for each check, and the first that fails."""
    stop = next((what for what, missing in checks if missing), None)
    facts = [Fact(what, missing or f"the {what} is as it should be", decides=what == stop) for what, missing in checks]
    return facts, stop


def _lane(organization_id: UUID | None, state: SyncState | None) -> Lane | None:
    if state is None or state.parked_at is not None or organization_id is None:
        return None
    return Lane.objects.filter(organization_id=organization_id).first()


def _step(stop: str, target: Target, state: SyncState | None) -> Remedy:
    if stop == "environment":
        environments = SyncState.objects.filter(Q(object_id=target.organization_id), kind=SyncKind.ENVIRONMENT)
        return OPERATOR if environments.filter(parked_at__isnull=False).exists() else WAIT
    if stop in RESETS and state is not None and state.parked_at is not None:
        who = who_may(RESETS[stop], target.ou_path, target.organization_id)
        return Remedy("reset", "Change what it names, then reset it.", tuple(who))
    if state is not None and state.waits_for:
        return Remedy("wait", f"Wait: it goes on when {state.waits_for} is there.")
    return WAIT
