"""Makers of managed MCP deployments, as their commands and the engine leave them."""

from typing import Any

from django.utils import timezone

from accounts.models import OU, User
from agents.commands import CreateDeployment, CreateServer
from agents.models import DeploymentStatus, MCPDeployment
from powerloom.commands.bus import submit_all
from powerloom.commands.registry import Done
from powerloom.kernel.ids import new_id
from tests.world import actor_of


def make_deployment(by: User, ou: OU, name: str = "sounds", kind: str = "echo", **fields: Any) -> MCPDeployment:
    """Deploy a template as this user, with its registration; nothing has looked at it yet."""
    id_ = new_id()
    said: dict[str, Any] = {"name": name, "display_name": name.capitalize(), "ou_id": ou.id}
    deployment = CreateDeployment(id=id_, template_kind=kind, **said, **fields)
    registration = CreateServer(id=new_id(), deployment_id=id_, **said)
    outcome = submit_all([deployment, registration], actor=actor_of(by))
    assert isinstance(outcome, Done)
    return MCPDeployment.objects.select_related("registration", "ou").get(pk=id_)


def make_running(deployment: MCPDeployment) -> MCPDeployment:
    """Say what the engine says once the deployment serves."""
    return _stands(deployment, DeploymentStatus.RUNNING, running_since=timezone.now())


def make_failed(deployment: MCPDeployment) -> MCPDeployment:
    """Say what the engine says once it has given up."""
    return _stands(deployment, DeploymentStatus.FAILED, status_reason="check: nobody answers", attempts=3)


def _stands(deployment: MCPDeployment, status: DeploymentStatus, **columns: Any) -> MCPDeployment:
    MCPDeployment.objects.filter(pk=deployment.pk).update(status=status, due_at=None, **columns)
    deployment.refresh_from_db()
    return deployment
