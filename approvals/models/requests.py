"""Requests: a held set of commands, what it must satisfy, and what people said."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.models import OU, Organization
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target


class Status(models.TextChoices):
    PENDING = "pending"
    APPROVED = "approved"  # also once it is applied: see `outcome`
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FAILED = "failed"


class Outcome(models.TextChoices):
    APPLIED = "applied"
    FAILED = "failed"


class ApprovalRequest(models.Model):
    """A set of commands that waits, with everything it takes to replay it as its requester.

    `actor` is the requester as it came: user, token and narrowing, delegation, all as text. `marks` name every object
    that the set loaded and how it stood. Other apps' things are named as text and ids, never by foreign key. Deciding
    moves `status`; `replay_due_at` is when a worker should act on what was decided, null when there is nothing to do.
    """

    MOVES: ClassVar[dict[str, frozenset[str]]] = {
        Status.PENDING: frozenset({Status.APPROVED, Status.REJECTED, Status.CANCELLED, Status.EXPIRED, Status.FAILED}),
        Status.APPROVED: frozenset({Status.FAILED}),
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="approval_requests")
    ou = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="approval_requests")
    action = models.CharField(max_length=100)  # of the first command
    target_kind = models.CharField(max_length=50)
    target_id = models.UUIDField()
    target_name = models.CharField(max_length=320)
    requester_id = models.UUIDField()
    requester_ref = models.CharField(max_length=700)
    askers = models.JSONField(default=list)  # ids of everyone who asked: none of them decides
    actor = models.JSONField()
    commands = models.JSONField()  # [{"action", "data"}]
    digest = models.CharField(max_length=64)
    marks = models.JSONField(default=list)
    effects = models.JSONField(default=list)  # [{"action", "kind", "id", "name", "ou_path"}]
    diff = models.JSONField(default=list)  # by command: {"action", "target", "before", "after"}
    cma_calls = models.JSONField(default=list)
    justification = models.TextField(blank=True)
    on_reject = models.JSONField(null=True, blank=True)  # a command that is replayed unless it is approved
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    outcome = models.CharField(max_length=8, choices=Outcome, blank=True)
    failure = models.JSONField(null=True, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)
    replay_due_at = models.DateTimeField(null=True, blank=True)
    replay_attempts = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "requester_id", "digest"],
                condition=Q(status=Status.PENDING),
                name="one_pending_request_per_change",
            )
        ]
        indexes = [
            models.Index(fields=["organization", "status", "-id"], name="requests_by_status"),
            models.Index(fields=["organization", "requester_id", "-id"], name="requests_by_requester"),
            models.Index(fields=["expires_at"], condition=Q(status=Status.PENDING), name="requests_to_expire"),
            models.Index(fields=["replay_due_at"], condition=Q(replay_due_at__isnull=False), name="requests_to_replay"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target_name}"

    def target(self) -> Target:
        return Target("approval_request", self.id, str(self), self.organization_id, self.ou.path)


class Demand(models.Model):
    """What one policy asks of a request at one OU, as the policy stood when the set was held."""

    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="demands")
    policy_id = models.UUIDField(null=True)  # null: asked by the kind of request itself, not by a policy
    policy_name = models.CharField(max_length=63)
    policy_generation = models.PositiveBigIntegerField(default=0)
    ou = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="+")
    approver_role_id = models.UUIDField(null=True)
    approver_group_id = models.UUIDField(null=True)
    approver_action = models.CharField(max_length=100, blank=True)  # whoever may do this there
    approver_user_id = models.UUIDField(null=True)  # this person too, whatever else is asked
    is_private = models.BooleanField(default=False)  # asked of that person alone, and read by nobody else but Auditors
    role_given_id = models.UUIDField(null=True)  # and could give this role there, for so long, himself
    seconds_given = models.PositiveIntegerField(null=True)
    approver = models.CharField(max_length=400)  # in words
    quorum = models.PositiveSmallIntegerField()

    class Meta:
        indexes = [models.Index(fields=["policy_id"], name="demands_by_policy")]

    def __str__(self) -> str:
        return f"{self.policy_name}: {self.quorum} of {self.approver}"


class Verdict(models.TextChoices):
    APPROVE = "approve"
    REJECT = "reject"


class Decision(models.Model):
    """What one person said, and why. Kept as text, because people leave."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="decisions")
    decider_id = models.UUIDField()
    decider_ref = models.CharField(max_length=700)
    verdict = models.CharField(max_length=8, choices=Verdict)
    comment = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "decider_id"], name="one_decision_per_person")]

    def __str__(self) -> str:
        return f"{self.decider_ref}: {self.verdict}"
