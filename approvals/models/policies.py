"""Policies: which changes wait for whose yes."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import OU, Group, Organization, Role
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target

DEFAULT_TTL_SECONDS = 7 * 24 * 3600  # a week


class ApprovalPolicy(models.Model):
    """Holds every change that its pattern, scope and condition match until `quorum` people of its role or group agree.

    `scope_path` repeats the scope's path, which never changes, so that matching needs no join. A policy is governed
    itself, and guarded by its own earlier version.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="approval_policies")
    name = models.CharField(max_length=63)
    description = models.TextField(blank=True)
    scope_ou = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="approval_policies")
    scope_path = models.TextField()
    action_pattern = models.CharField(max_length=100)
    condition = models.TextField(blank=True)
    approver_role = models.ForeignKey(Role, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    approver_group = models.ForeignKey(Group, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    quorum = models.PositiveSmallIntegerField(default=1)
    ttl_seconds = models.PositiveIntegerField(default=DEFAULT_TTL_SECONDS)
    justification_required = models.BooleanField(default=False)
    is_on = models.BooleanField(default=True)
    generation = models.PositiveBigIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "approval policies"
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"],
                condition=Q(archived_at__isnull=True),
                name="one_live_approval_policy_per_name",
            ),
            models.CheckConstraint(
                condition=Q(approver_role__isnull=True) ^ Q(approver_group__isnull=True),
                name="an_approval_policy_names_a_role_or_a_group",
            ),
        ]
        indexes = [
            models.Index(
                fields=["organization", "action_pattern", "scope_path"],
                condition=Q(archived_at__isnull=True, is_on=True),
                name="approval_policies_that_hold",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def approver(self) -> str:
        """Who decides, as people write it."""
        return self.approver_role.name if self.approver_role else f"members of {self.approver_group}"

    def target(self) -> Target:
        return Target("approval_policy", self.id, self.name, self.organization_id, self.scope_path)
