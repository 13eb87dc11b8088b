"""What a governed change means for the progress of a deployment; called by handlers in the transaction of their change.

    pending → deploying → running → failed | destroying → destroyed

A deployment is due while `due_at` is set; `agents.deploying` works it off. Whatever changes what is being deployed
takes the lease away, so that a worker who is still at it records nothing.
"""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from agents.models import DeploymentStatus, MCPDeployment
from powerloom.kernel.states import transition
from powerloom.reconcile import bells

TASK = "agents.tasks.deploy"


def declared(deployment: MCPDeployment) -> None:
    """Give a new deployment, not saved yet, its first state."""
    deployment.status = DeploymentStatus.PENDING
    deployment.due_at = timezone.now()
    bells.ring(TASK)


def begin_again(deployment: MCPDeployment) -> None:
    """Deploy from the start: another config, or a retry."""
    to = DeploymentStatus.PENDING
    _move(deployment, to, status_reason="", steps=[], warnings=[], running_since=None)


def look_again(deployment: MCPDeployment) -> None:
    """Another policy: it counts from the next call on, and whether the deployment is fit for it is seen meanwhile."""
    if deployment.status == DeploymentStatus.RUNNING:
        _due(deployment)
    else:
        begin_again(deployment)


def end(deployment: MCPDeployment, now: datetime) -> None:
    """Take the deployment out of service; what is left of it is cleared away by a worker."""
    _move(deployment, DeploymentStatus.DESTROYING, status_reason="", archived_at=now, running_since=None)


def _move(deployment: MCPDeployment, to: DeploymentStatus, **columns: object) -> None:
    if deployment.status == to:  # declared a moment ago, and nobody has begun
        _due(deployment)
        return
    transition(deployment, to, due_at=timezone.now(), leased_until=None, attempts=0, **columns)
    bells.ring(TASK)


def _due(deployment: MCPDeployment) -> None:
    deployment.due_at, deployment.leased_until, deployment.attempts = timezone.now(), None, 0
    deployment.save(update_fields=["due_at", "leased_until", "attempts"])
    bells.ring(TASK)
