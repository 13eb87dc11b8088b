"""Sessions, what came out of them, what goes into them, who follows them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.models import OU, Organization
from agents.models import Agent
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target


class Status(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    IDLE_END_TURN = "idle_end_turn"
    TERMINATED = "terminated"
    TIMEOUT = "timeout"
    FAILED = "failed"


ACTIVE = (Status.PENDING, Status.RUNNING)
ENDED = (Status.TERMINATED, Status.TIMEOUT, Status.FAILED)


class Owed(models.TextChoices):
    """What CMA has still to be told about a session that is over here."""

    NOTHING = ""
    INTERRUPT = "interrupt"
    ARCHIVE = "archive"
    DELETE = "delete"


class Mode(models.TextChoices):
    SYNC = "sync"
    FIRE_AND_FORGET = "fire_and_forget"


class Relay(models.Model):
    """One relay process and its heartbeat. A session names the relay and epoch that may write its events."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    # Grows with every start; in embedded mode the newest one knows that all others are dead.
    epoch = models.BigIntegerField()
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.id} epoch {self.epoch}"


class AgentSession(models.Model):
    """One run of an agent. Commands start, continue and end it; `sessions.ingest` writes what is observed of it."""

    MOVES: ClassVar[dict[str, frozenset[str]]] = {
        Status.PENDING: frozenset({Status.RUNNING, Status.FAILED, Status.TERMINATED, Status.TIMEOUT}),
        Status.RUNNING: frozenset({Status.IDLE_END_TURN, Status.TERMINATED, Status.TIMEOUT, Status.FAILED}),
        Status.IDLE_END_TURN: frozenset({Status.RUNNING, Status.TERMINATED}),
    }
    MARKED: ClassVar[frozenset[str]] = frozenset({"agent_version", "title", "closed_at", "deleted_at"})  # governed

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="agent_sessions")
    ou = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="agent_sessions")
    agent = models.ForeignKey(Agent, on_delete=models.PROTECT, related_name="agent_sessions")
    agent_version = models.PositiveIntegerField()  # ours
    cma_agent_id = models.CharField(max_length=128)  # what it was pinned to when it was invoked
    cma_agent_version = models.PositiveIntegerField()
    cma_environment_id = models.CharField(max_length=128)
    cma_vault_id = models.CharField(max_length=128, blank=True)  # with the agent's credentials; empty: it has none
    parent_session = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children"
    )
    invoked_by_id = models.UUIDField()  # principal, as the audit knows it
    invoked_by_ref = models.CharField(max_length=320)
    is_delegated = models.BooleanField(default=False)  # its tools act for whoever invoked it, so it is his alone
    title = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001  the wire tells null from ""
    prompt = models.TextField()
    mode = models.CharField(max_length=20, choices=Mode)
    status = models.CharField(max_length=20, choices=Status, default=Status.PENDING)
    waiting_for = models.CharField(max_length=255, blank=True)  # condition of `running`: what it waits for
    stop_reason = models.CharField(max_length=40, blank=True)
    last_error = models.TextField(blank=True)
    cma_session_id = models.CharField(max_length=128, blank=True)
    create_attempted_at = models.DateTimeField(null=True, blank=True)  # without `cma_session_id`: an answer may be lost
    owed = models.CharField(max_length=10, choices=Owed, default=Owed.NOTHING, blank=True)
    asks_due_at = models.DateTimeField(null=True, blank=True)  # when to look at its calls that ask; null: nothing to do
    max_duration = models.PositiveIntegerField()  # seconds a turn may take
    turn_started_at = models.DateTimeField(null=True, blank=True)
    deadline_at = models.DateTimeField(null=True, blank=True)  # null while idle or waiting for a person
    turn_left = models.FloatField(null=True, blank=True)  # seconds left of a turn whose clock stands
    active_seconds = models.FloatField(default=0)
    event_count = models.PositiveIntegerField(default=0)
    mcp_tool_use_count = models.PositiveIntegerField(default=0)
    mcp_server_count = models.PositiveIntegerField(default=0)  # attached when it was invoked
    degradation_flagged = models.BooleanField(default=False)
    degradation = models.JSONField(null=True, blank=True)
    last_seq = models.PositiveIntegerField(default=0)
    relay_id = models.UUIDField(null=True, blank=True)
    relay_epoch = models.BigIntegerField(default=0)  # grows with every claim, so that no lost claim is taken for a new
    viewer_epoch = models.PositiveIntegerField(default=0)  # the newest ticketed socket; an older one is closed
    created_at = models.DateTimeField()
    changed_at = models.DateTimeField()  # of its status, its words or its title; not of its events
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "session"
        indexes = [
            models.Index(fields=["organization", "-id"], name="sessions_by_organization"),
            models.Index(fields=["agent", "-id"], name="sessions_by_agent"),
            models.Index(fields=["agent", "status"], name="sessions_by_agent_and_status"),
            models.Index(fields=["invoked_by_id", "-id"], name="sessions_by_invoker"),
            models.Index(fields=["organization", "changed_at"], name="sessions_by_change"),
            models.Index(
                fields=["relay_id"],
                condition=Q(status__in=["pending", "running"]) | ~Q(owed=""),
                name="sessions_to_relay",
            ),
            models.Index(fields=["deadline_at"], condition=Q(deadline_at__isnull=False), name="sessions_by_deadline"),
            models.Index(fields=["asks_due_at"], condition=Q(asks_due_at__isnull=False), name="sessions_that_ask"),
        ]

    def __str__(self) -> str:
        return self.title or str(self.id)

    def target(self) -> Target:
        return Target("session", self.id, self.told_title or "", self.organization_id, self.ou.path)

    @property
    def told_title(self) -> str | None:
        """The title as others are told it, in the audit trail too: none, where the session is its user's alone."""
        return None if self.is_delegated else self.title


class SessionEvent(models.Model):
    """One event, once: unique by CMA's id, dense by `seq`. `event_type` and `payload` are what the socket sends."""

    id = models.BigAutoField(primary_key=True)
    session = models.ForeignKey(AgentSession, on_delete=models.CASCADE, related_name="events")
    seq = models.PositiveIntegerField()
    remote_id = models.CharField(max_length=128)  # CMA's, or ours for powerloom.* events
    event_type = models.CharField(max_length=80)
    payload = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["session", "seq"], name="one_event_per_seq"),
            models.UniqueConstraint(fields=["session", "remote_id"], name="an_event_once_per_session"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.event_type}"


class InputKind(models.TextChoices):
    """A message waits for the turn to end; everything else goes at once."""

    MESSAGE = "message"
    INTERRUPT = "interrupt"
    CONFIRMATION = "confirmation"
    RESULT = "result"


class SessionInput(models.Model):
    """The only way into a session: a message, an interrupt, a confirmation or a custom tool's result, sent by the
    relay in order.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    session = models.ForeignKey(AgentSession, on_delete=models.CASCADE, related_name="inputs")
    kind = models.CharField(max_length=20, choices=InputKind)
    key = models.CharField(max_length=200)  # the same input asked twice is one row
    event = models.JSONField()  # the wire event as it is sent
    author_ref = models.CharField(max_length=320)
    created_at = models.DateTimeField(auto_now_add=True)
    attempted_at = models.DateTimeField(null=True, blank=True)  # in doubt until `sent_at`: list before sending again
    sent_at = models.DateTimeField(null=True, blank=True)
    remote_id = models.CharField(max_length=128, blank=True)
    refused = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session", "key"], name="one_input_per_key")]
        indexes = [
            models.Index(fields=["session", "id"], condition=Q(sent_at__isnull=True, refused=""), name="inputs_to_send")
        ]

    def __str__(self) -> str:
        return f"{self.event.get('type')} {self.key}"


class ToolCall(models.Model):
    """A call of the agent that asks, and the request in the inbox that it became: one each. Without a request: it was
    answered before it came there.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    session = models.ForeignKey(AgentSession, on_delete=models.CASCADE, related_name="calls")
    remote_id = models.CharField(max_length=128)  # of its event
    request_id = models.UUIDField(null=True, unique=True)
    asked_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["session", "remote_id"], name="a_call_asks_once")]

    def __str__(self) -> str:
        return self.remote_id


class StreamTicket(models.Model):
    """A single-use ticket for one session's socket, good for 60 seconds, kept as a keyed hash.

    `actor` is who asked for it, with the token and its narrowing: the socket has those rights and ends with them.
    """

    hmac = models.CharField(primary_key=True, max_length=64)
    session = models.ForeignKey(AgentSession, on_delete=models.CASCADE, related_name="tickets")
    actor = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)
    spent_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"ticket of {self.session_id}"
