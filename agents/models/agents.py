"""Agents and the versions of everything that makes them what they are."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import OU, Organization, Principal
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target


class AgentKind(models.TextChoices):
    USER = "user"  # acts with its owner's rights
    SERVICE = "service"  # acts with its own bindings


class Agent(models.Model):
    """A declared agent: its identity and its owner here, what it should be in the spec of its latest version.

    Its id is also its principal's id.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="agents")
    ou = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="agents")
    name = models.CharField(max_length=63)
    display_name = models.CharField(max_length=255)
    agent_kind = models.CharField(max_length=10, choices=AgentKind)
    runtime_type = models.CharField(max_length=20, default="cma")
    owner_principal = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="owned_agents")
    version = models.PositiveIntegerField(default=1)  # number of the latest AgentVersion
    generation = models.PositiveBigIntegerField(default=1)  # bumped by every change, for If-Match and approvals
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["ou", "name"], condition=Q(archived_at__isnull=True), name="one_live_agent_per_name"
            )
        ]
        indexes = [models.Index(fields=["organization", "-id"], name="agents_by_organization")]

    def __str__(self) -> str:
        return self.name

    @property
    def ref(self) -> str:
        return f"agent:{self.ou.path}{self.name}"

    def target(self) -> Target:
        return Target("agent", self.id, self.name, self.organization_id, self.ou.path)


class AgentVersion(models.Model):
    """One immutable state of an agent's whole spec (`agents.spec.AgentSpec` as JSON), attachments included.

    `cma_version` is the version CMA gave to this state when it was pushed last; empty until then. `live_at` is when CMA
    first had it: from `created_at` to there is how long it took to converge.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    spec = models.JSONField()
    author_ref = models.CharField(max_length=320)
    restored_from = models.PositiveIntegerField(null=True, blank=True)
    cma_version = models.CharField(max_length=64, blank=True)
    live_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "number"], name="one_agent_version_per_number")]

    def __str__(self) -> str:
        return f"{self.agent_id} v{self.number}"
