"""What a governed change means for the progress of a deployment; called by handlers in the transaction of their change.

    pending → deploying → running → failed | destroying → destroyed

A deployment is due while `due_at` is set; `agents.deploying` works it off. Whatever changes what is being deployed
takes the lease away, so that a worker who is still at it records nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.utils import timezone

from agents.models import DeploymentStatus, MCPDeployment
from powerloom.kernel.states import transition_all
from powerloom.reconcile import bells

TASK = "agents.tasks.deploy"


def declared(deployment: MCPDeployment) -> None:
    """Give a new deployment, not saved yet, its first state."""
    deployment.status = DeploymentStatus.PENDING
    deployment.due_at = timezone.now()
    bells.ring(TASK)


def begin_again(some: Iterable[MCPDeployment]) -> None:
    """Deploy these from the start: another config, or a retry. Their rows are locked."""
    _move(list(some), DeploymentStatus.PENDING, status_reason="", steps=[], warnings=[], running_since=None)


def look_again(some: Iterable[MCPDeployment]) -> None:
    """Another policy: it counts from the next call on, and whether these are fit for it is seen meanwhile."""
    rows = list(some)
    _due([one for one in rows if one.status == DeploymentStatus.RUNNING])
    begin_again(one for one in rows if one.status != DeploymentStatus.RUNNING)


def end(rows: Sequence[MCPDeployment], now: datetime) -> None:
    """Take deployments out of service; what is left of them is cleared away by a worker."""
    _move(rows, DeploymentStatus.DESTROYING, status_reason="", archived_at=now, running_since=None)


def _move(rows: Sequence[MCPDeployment], to: DeploymentStatus, **columns: object) -> None:
    _due([one for one in rows if one.status == to])  # declared a moment ago, and nobody has begun
    moving = [one for one in rows if one.status != to]
    if moving:
        transition_all(moving, to, due_at=timezone.now(), leased_until=None, attempts=0, **columns)
        bells.ring(TASK)


def _due(rows: Sequence[MCPDeployment]) -> None:
    if not rows:
        return
    for one in rows:
        one.due_at, one.leased_until, one.attempts = timezone.now(), None, 0
    MCPDeployment.objects.bulk_update(rows, ["due_at", "leased_until", "attempts"])
    bells.ring(TASK)
