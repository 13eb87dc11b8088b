"""Which agents a set of commands changes underneath, wherever they live: what policies that guard agents look at.

Whatever made the reconciler push an agent again has changed it. What changes an agent without a push (the policy and
the secrets of a deployment, which the fleet reads at each call; a credential, which goes into its vault; a right by
which it gets back what is withheld from it) is asked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any  # JSON
from uuid import UUID

from django.db.models import Q

from accounts.actions import Action as AccountsAction
from accounts.law import shown
from agents import withholding
from agents.actions import Action
from agents.kinds import SyncKind
from agents.models import Agent, Credential
from agents.queries import latest_versions
from agents.queries.reach import agents_calling, deployments_naming
from approvals.effects import reached_ids
from powerloom.commands.registry import Case
from powerloom.kernel.refs import Target

SECRET_CHANGES = (AccountsAction.SECRET_CREATE, AccountsAction.SECRET_ROTATE, AccountsAction.SECRET_DELETE)
"""A new one is nearer than another of its name, which something may have meant until now."""
CREDENTIAL_CHANGES = (Action.CREDENTIAL_CREATE, Action.CREDENTIAL_ROTATE)


def reached(cases: Sequence[Case], stale: Sequence[dict[str, Any]], already: AbstractSet[UUID]) -> list[Target]:
    """Return the live agents whose effective configuration the set changes, in a stable order; a constant number of
    queries. One that the set itself makes is not changed by it, nor does it give back what had come back `already`.
    """
    pushed = reached_ids(stale, SyncKind.AGENT)
    made = {case.target.id for case in cases if case.command.action == Action.AGENT_CREATE}
    ways = (_through_the_fleet(cases), _through_the_vault(cases, stale), _through_rights(cases) - already)
    changed = pushed.union(*ways) - made
    if not changed:
        return []
    organization_id = cases[0].actor.organization_id
    agents = Agent.objects.filter(Q(organization_id=organization_id), pk__in=changed, archived_at__isnull=True)
    return [agent.target() for agent in agents.select_related("ou").order_by("pk")]


def states(targets: Iterable[Target]) -> dict[UUID, dict[str, Any]]:
    """Return what the agents among these are now, attachments included, by id; two queries."""
    ids = [target.id for target in targets if target.kind == "agent"]
    agents = list(Agent.objects.filter(pk__in=ids).select_related("ou", "owner_principal")) if ids else []
    versions = latest_versions(agents)
    return {agent.pk: _state(agent) | versions[agent.pk].spec for agent in agents if agent.pk in versions}


def _state(agent: Agent) -> dict[str, Any]:
    return {
        "name": agent.name,
        "ou_path": shown(agent.ou.path),
        "agent_kind": str(agent.agent_kind),
        "owner": agent.owner_principal.ref,
    }


def _through_the_fleet(cases: Sequence[Case]) -> set[UUID]:
    """Return the agents whose tools are another's by a changed deployment, or by a secret that one names."""
    deployments = {case.target.id for case in cases if case.command.action == Action.MCP_DEPLOYMENT_UPDATE}
    secrets = [(case.target.name, case.target.ou_path) for case in cases if case.command.action in SECRET_CHANGES]
    if secrets:
        deployments |= deployments_naming(secrets, organization_id=cases[0].actor.organization_id)
    return agents_calling(deployments) if deployments else set()


def _through_the_vault(cases: Sequence[Case], stale: Sequence[dict[str, Any]]) -> set[UUID]:
    """Return the agents that get a credential or another value for one; asking for what is there already gives none."""
    given = {case.target.id for case in cases if case.command.action in CREDENTIAL_CHANGES}
    pushed = given & reached_ids(stale, SyncKind.CREDENTIAL)
    return set(Credential.objects.filter(pk__in=pushed).values_list("agent_id", flat=True)) if pushed else set()


def _through_rights(cases: Sequence[Case]) -> set[UUID]:
    """Return the agents that get back an attached thing: the set gives the right that its principal had lost."""
    organization_id = cases[0].actor.organization_id
    widens = any(case.handler.changes_access for case in cases)
    return withholding.coming_back(organization_id) if widens and organization_id else set()
