"""Which agents a change reaches through the fleet, which reads policies and secrets at each call: nothing is pushed."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q
from pydantic import ValidationError

from agents.mcp.catalog import TEMPLATES
from agents.models import AgentMCPServer, MCPDeployment


def agents_calling(deployment_ids: Iterable[UUID]) -> set[UUID]:
    """Return the agents that have one of these deployments; one query."""
    attached = AgentMCPServer.objects.filter(server__deployment_id__in=set(deployment_ids))
    return set(attached.values_list("agent_id", flat=True))


def deployments_naming(secrets: Iterable[tuple[str, str]], *, organization_id: UUID | None) -> set[UUID]:
    """Return the live deployments whose config names one of these secrets, each said by its name and OU path, where
    that name may mean it: in the secret's OU or below; one query.
    """
    asked = set(secrets)
    if not asked:
        return set()
    rows = MCPDeployment.objects.filter(Q(organization_id=organization_id), archived_at__isnull=True)
    return {
        row.id
        for row in rows.select_related("ou")
        for named in _names(row)
        if any(named == name and row.ou.path.startswith(path) for name, path in asked)
    }


def _names(deployment: MCPDeployment) -> set[str]:
    template = TEMPLATES.get(deployment.template_kind)
    try:
        config = template.read_config(deployment.config) if template else None
    except ValidationError:  # it serves nothing any more
        return set()
    return {one.name for one in template.secrets(config)} if template else set()
