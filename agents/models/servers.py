"""MCP servers that agents may call: registrations, the tools seen on them, managed deployments, and attachments."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.models import OU, Organization
from agents.models.agents import Agent
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target


class DeploymentStatus(models.TextChoices):
    PENDING = "pending"  # declared, no worker has taken it
    DEPLOYING = "deploying"
    RUNNING = "running"
    FAILED = "failed"  # `status_reason` says why and what to do
    DESTROYING = "destroying"
    DESTROYED = "destroyed"


class MCPDeployment(models.Model):
    """A managed MCP server: a template of `agents.mcp.catalog` with config, policy and secrets by name.

    `config` and `policy` are kept exactly as posted, because clients compare them with what they sent; defaults are
    added where they are read. The fleet serves it at `/mcp/<id>/mcp` while it is running. Status and the columns after
    it are progress, kept by `agents.deployments` and `agents.deploying`; the rest is governed. `archived_at` is set
    when destroying begins, so that the name is free and the row gone from the lists at once.
    """

    MOVES: ClassVar[dict[str, frozenset[str]]] = {
        DeploymentStatus.PENDING: frozenset({DeploymentStatus.DEPLOYING, DeploymentStatus.DESTROYING}),
        DeploymentStatus.DEPLOYING: frozenset(
            {
                DeploymentStatus.PENDING,  # another config meanwhile
                DeploymentStatus.RUNNING,
                DeploymentStatus.FAILED,
                DeploymentStatus.DESTROYING,
            }
        ),
        DeploymentStatus.RUNNING: frozenset(
            {DeploymentStatus.PENDING, DeploymentStatus.FAILED, DeploymentStatus.DESTROYING}
        ),
        DeploymentStatus.FAILED: frozenset({DeploymentStatus.PENDING, DeploymentStatus.DESTROYING}),
        DeploymentStatus.DESTROYING: frozenset({DeploymentStatus.DESTROYED}),
        DeploymentStatus.DESTROYED: frozenset(),
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="mcp_deployments")
    ou = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="mcp_deployments")
    name = models.CharField(max_length=63)
    display_name = models.CharField(max_length=255)
    template_kind = models.CharField(max_length=20)
    isolation_mode = models.CharField(max_length=10, default="shared")
    config = models.JSONField(default=dict)
    policy = models.JSONField(default=dict)
    generation = models.PositiveBigIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    status = models.CharField(max_length=12, choices=DeploymentStatus, default=DeploymentStatus.PENDING)
    status_reason = models.TextField(blank=True)
    steps = models.JSONField(default=list)  # of the last attempt: [{"step", "ok", "words"}]
    warnings = models.JSONField(default=list)  # of the last attempt, in words
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)  # when a worker should look at it; null: nothing to do
    leased_until = models.DateTimeField(null=True, blank=True)
    running_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "MCP deployment"
        constraints = [
            models.UniqueConstraint(
                fields=["ou", "name"], condition=Q(archived_at__isnull=True), name="one_live_deployment_per_name"
            )
        ]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="deployments_due"),
            models.Index(fields=["organization", "-id"], name="deployments_by_organization"),
        ]

    def __str__(self) -> str:
        return self.name

    def target(self) -> Target:
        return Target("mcp_deployment", self.id, self.name, self.organization_id, self.ou.path)


class ServerState(models.TextChoices):
    UNVERIFIED = "unverified"  # nobody has talked to it yet
    VERIFIED = "verified"  # the last handshake succeeded
    FAILING = "failing"  # the last handshake failed; `probe_error` says at which step and what was answered


class MCPServer(models.Model):
    """A registration: an MCP server that agents may be given, foreign (`url`) or the face of a managed deployment.

    `server_name` is its name towards CMA, fixed at registration. State and the columns after it are what was seen,
    kept by `agents.probing`; the rest is governed.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="mcp_servers")
    ou = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="mcp_servers")
    name = models.CharField(max_length=63)
    server_name = models.CharField(max_length=72)
    display_name = models.CharField(max_length=255)
    description = models.TextField(null=True, blank=True)  # noqa: DJ001  the wire tells null from ""
    url = models.CharField(max_length=2048, blank=True)  # empty: the fleet serves it, see `deployment`
    deployment = models.OneToOneField(
        MCPDeployment, on_delete=models.PROTECT, null=True, blank=True, related_name="registration"
    )
    generation = models.PositiveBigIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    state = models.CharField(max_length=12, choices=ServerState, default=ServerState.UNVERIFIED)
    server_info = models.JSONField(default=dict)
    protocol_version = models.CharField(max_length=32, blank=True)
    probe_error = models.JSONField(null=True, blank=True)  # {"step", "words"}
    probe_attempts = models.PositiveIntegerField(default=0)
    probed_at = models.DateTimeField(null=True, blank=True)  # when a handshake last succeeded
    probe_due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "MCP server"
        constraints = [
            models.UniqueConstraint(
                fields=["ou", "name"], condition=Q(archived_at__isnull=True), name="one_live_mcp_server_per_name"
            ),
            models.UniqueConstraint(
                fields=["organization", "server_name"],
                condition=Q(archived_at__isnull=True),
                name="one_live_mcp_server_per_server_name",
            ),
        ]
        indexes = [
            models.Index(fields=["probe_due_at"], condition=Q(probe_due_at__isnull=False), name="mcp_servers_to_probe"),
            models.Index(fields=["organization", "-id"], name="mcp_servers_by_organization"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_managed(self) -> bool:
        return self.deployment_id is not None

    def target(self) -> Target:
        return Target("mcp_server", self.id, self.name, self.organization_id, self.ou.path)


class MCPTool(models.Model):
    """A tool that a server has, or had when it was pinned.

    `definition` is what the last listing answered (null when it was missing there), `pinned` what somebody approved
    (null for one that nobody did). A foreign server's tool is on only while both have the same hash; a managed
    server's tools are the template's own and pinned with each deployment.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    server = models.ForeignKey(MCPServer, on_delete=models.CASCADE, related_name="tools")
    name = models.CharField(max_length=128)
    definition = models.JSONField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)  # of the definition's canonical JSON
    pinned = models.JSONField(null=True, blank=True)
    pinned_sha256 = models.CharField(max_length=64, blank=True)
    seen_at = models.DateTimeField(null=True, blank=True)
    pinned_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "MCP tool"
        constraints = [models.UniqueConstraint(fields=["server", "name"], name="an_mcp_tool_once_per_server")]

    def __str__(self) -> str:
        return f"{self.server_id} {self.name}"

    @property
    def is_on(self) -> bool:
        return bool(self.sha256) and self.sha256 == self.pinned_sha256


class Discovery(models.Model):
    """What a handshake found, on its way into a registration or a pin: a command names it by this row's id.

    Not governed state. Rows that no command took are swept.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    url = models.CharField(max_length=2048)
    server_info = models.JSONField(default=dict)
    protocol_version = models.CharField(max_length=32)
    tools = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    kept_until = models.DateTimeField(null=True, blank=True)  # by a request that names it and waits

    class Meta:
        verbose_name_plural = "discoveries"
        indexes = [models.Index(fields=["created_at"], name="discoveries_by_age")]

    def __str__(self) -> str:
        return f"discovery {self.id}"


class AgentMCPServer(models.Model):
    """An MCP server attached to an agent now; which of its tools are on, and who says yes to a call."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="server_attachments")
    server = models.ForeignKey(MCPServer, on_delete=models.PROTECT, related_name="attachments")
    permission = models.CharField(max_length=12, default="always_allow")
    tools = models.JSONField(default=dict)  # by tool name: {"enabled", "permission"}, for those that differ
    four_eyes = models.BooleanField(default=False)  # whoever invoked may not confirm its calls

    class Meta:
        verbose_name = "attached MCP server"
        constraints = [models.UniqueConstraint(fields=["agent", "server"], name="an_mcp_server_once_per_agent")]

    def __str__(self) -> str:
        return f"{self.agent_id} with {self.server_id}"


class WithheldServer(models.Model):
    """An attached server that the agent does not get, because its principal may no longer use it.

    Derived, as `WithheldSkill` is.
    """

    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="withheld_servers")
    server = models.ForeignKey(MCPServer, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["agent", "server"], name="an_mcp_server_withheld_once")]

    def __str__(self) -> str:
        return f"{self.server_id} from {self.agent_id}"
