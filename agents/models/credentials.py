"""Credentials: what an agent shows to an MCP server. The value is sealed; the fleet knows it by its keyed hash."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import Organization, Sealed
from agents.models.agents import Agent
from agents.models.servers import MCPServer
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target


class CredentialSource(models.TextChoices):
    MINTED = "minted"  # made here
    GIVEN = "given"  # a foreign server's own token, written once and never shown


class Credential(models.Model):
    """The bearer of one agent for one MCP server. Lives in the agent's OU.

    `number` counts its values. While the vault still has an earlier one, `earlier_hash` stays valid at the fleet; it is
    cleared when the reconciler has pushed the current one. A value for a foreign server belongs to one origin: when the
    server's URL moves to another, `voided_at` is set and the credential must be rotated. Deleting destroys the value
    and keeps the row.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="credentials")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="credentials")
    server = models.ForeignKey(MCPServer, on_delete=models.PROTECT, related_name="credentials")
    source = models.CharField(max_length=8, choices=CredentialSource, default=CredentialSource.MINTED)
    sealed = models.ForeignKey(Sealed, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    number = models.PositiveIntegerField(default=1)
    bearer_hash = models.CharField(max_length=64, blank=True)
    earlier_hash = models.CharField(max_length=64, blank=True)
    origin = models.CharField(max_length=300, blank=True)  # of a foreign server: scheme://host:port
    voided_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revealed_at = models.DateTimeField(null=True, blank=True)
    generation = models.PositiveBigIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    rotated_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["agent", "server"],
                condition=Q(archived_at__isnull=True),
                name="one_live_credential_per_agent_and_server",
            )
        ]
        indexes = [
            models.Index(fields=["bearer_hash"], condition=~Q(bearer_hash=""), name="credentials_by_bearer"),
            models.Index(fields=["earlier_hash"], condition=~Q(earlier_hash=""), name="credentials_by_earlier_bearer"),
        ]

    def __str__(self) -> str:
        return f"{self.agent_id} for {self.server_id}"

    @property
    def is_for_foreign(self) -> bool:
        return self.server.deployment_id is None

    def target(self) -> Target:
        return Target("credential", self.id, self.server.name, self.organization_id, self.agent.ou.path)
