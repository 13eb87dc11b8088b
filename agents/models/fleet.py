"""What the fleet keeps: the log of every tool call, and the folders outside the file area that it may serve."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import Organization
from agents.models.servers import MCPDeployment
from powerloom.kernel.ids import new_id


class CallOutcome(models.TextChoices):
    OK = "ok"
    ERROR = "error"  # the tool answered with an error of its own
    DENIED = "denied"  # by policy; `rule` names it


class MCPCall(models.Model):
    """One tool call that the fleet answered. Append-only; never holds arguments, results or secrets.

    Agent, credential and session are kept as ids, so that the log outlives them. `session_id` is empty when the agent
    had several sessions at once. `tried_by_id` is the principal that tried the tool by hand, in place of an agent.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.CASCADE, related_name="+")
    deployment = models.ForeignKey(MCPDeployment, on_delete=models.CASCADE, related_name="calls")
    agent_id = models.UUIDField(null=True, blank=True)
    credential_id = models.UUIDField(null=True, blank=True)
    session_id = models.UUIDField(null=True, blank=True)
    tried_by_id = models.UUIDField(null=True, blank=True)
    tool = models.CharField(max_length=128)
    outcome = models.CharField(max_length=8, choices=CallOutcome)
    rule = models.CharField(max_length=64, blank=True)
    words = models.CharField(max_length=500, blank=True)
    milliseconds = models.PositiveIntegerField()
    created_at = models.DateTimeField()

    class Meta:
        verbose_name = "MCP call"
        indexes = [
            models.Index(fields=["deployment", "-id"], name="mcp_calls_of_deployment"),
            models.Index(fields=["session_id"], condition=Q(session_id__isnull=False), name="mcp_calls_of_session"),
            models.Index(fields=["created_at"], name="mcp_calls_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.tool} {self.outcome}"


class FileRoot(models.Model):
    """A folder of the machine that an organization's `files` deployments may serve; granted on the server only."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="file_roots")
    path = models.CharField(max_length=1024)  # absolute, resolved when granted
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "path"], condition=Q(archived_at__isnull=True), name="a_file_root_once"
            )
        ]

    def __str__(self) -> str:
        return self.path


class FleetAddress(models.Model):
    """Where the fleet was when the runtime was last told; one row. `agents.fleet.moves` compares and keeps it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    url = models.CharField(max_length=2048)
    since = models.DateTimeField()

    class Meta:
        verbose_name_plural = "fleet addresses"
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_fleet_address")]

    def __str__(self) -> str:
        return self.url
