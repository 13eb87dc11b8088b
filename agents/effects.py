"""Which agents a set of commands changes underneath, wherever they live: what policies that guard agents look at.

Whatever made the reconciler push an agent again has changed it. What changes an agent without a push (the policy and
the secrets of a deployment, which the fleet reads at each call) is asked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # JSON
from uuid import UUID

from django.db.models import Q

from agents.kinds import SyncKind
from agents.models import Agent
from powerloom.commands.registry import Case
from powerloom.kernel.refs import Target


def reached(cases: Sequence[Case], stale: Sequence[dict[str, Any]]) -> list[Target]:
    """Return the live agents whose effective configuration the set changes, in a stable order; a constant number of
    queries.
    """
    pushed = {UUID(call["id"]) for call in stale if call["kind"] == SyncKind.AGENT}
    if not pushed:
        return []
    organization_id = cases[0].actor.organization_id
    agents = Agent.objects.filter(Q(organization_id=organization_id), pk__in=pushed, archived_at__isnull=True)
    return [agent.target() for agent in agents.select_related("ou").order_by("pk")]
