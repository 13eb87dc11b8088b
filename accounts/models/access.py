"""Roles, bindings, memberships, and the closure that makes every question of access one EXISTS."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models.principals import Group, Principal
from accounts.models.tree import OU, Organization
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target


class DecisionType(models.TextChoices):
    ALLOW = "allow"
    DENY = "deny"


class Role(models.Model):
    """A named set of actions. Built-in roles belong to no organization and take their actions from `accounts.roles`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(
        Organization, on_delete=models.PROTECT, null=True, blank=True, related_name="roles"
    )
    name = models.CharField(max_length=63)
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], condition=Q(archived_at__isnull=True), name="one_live_role_per_name"
            ),
            models.UniqueConstraint(
                fields=["name"], condition=Q(organization__isnull=True), name="one_builtin_per_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RoleAction(models.Model):
    """One action of a custom role."""

    role = models.ForeignKey(Role, on_delete=models.CASCADE, related_name="role_actions")
    action = models.CharField(max_length=100)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["role", "action"], name="an_action_once_per_role")]
        indexes = [models.Index(fields=["action", "role"], name="roles_by_action")]

    def __str__(self) -> str:
        return self.action


class Membership(models.Model):
    """A user or group directly in a group."""

    group = models.ForeignKey(Group, on_delete=models.PROTECT, related_name="memberships")
    member = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="memberships")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["group", "member"], name="a_member_once_per_group")]

    def __str__(self) -> str:
        return f"{self.member_id} in {self.group_id}"


class PrincipalClosure(models.Model):
    """Which principals speak for an acting one.

    A user: itself, its groups transitively, its home OU and all above. An agent: itself. A group that owns agents:
    itself alone.
    """

    member = models.ForeignKey(Principal, on_delete=models.CASCADE, related_name="speaks_as")
    principal = models.ForeignKey(Principal, on_delete=models.CASCADE, related_name="spoken_by")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["member", "principal"], name="one_principal_closure_row")]

    def __str__(self) -> str:
        return f"{self.member_id} as {self.principal_id}"


class Binding(models.Model):
    """A role for a principal at an OU and all below, to allow or to deny, perhaps until a moment.

    With `resource_id` it covers that one resource alone (a skill grant). Ended rather than deleted.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="bindings")
    principal = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="bindings")
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="bindings")
    scope_ou = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="bindings")
    resource_id = models.UUIDField(null=True, blank=True)
    decision_type = models.CharField(max_length=5, choices=DecisionType)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["principal", "role", "scope_ou", "decision_type"],
                condition=Q(ended_at__isnull=True, resource_id__isnull=True),
                name="one_live_binding",
            ),
            models.UniqueConstraint(
                fields=["principal", "role", "resource_id", "decision_type"],
                condition=Q(ended_at__isnull=True, resource_id__isnull=False),
                name="one_live_grant",
            ),
        ]
        indexes = [
            models.Index(
                fields=["scope_ou", "principal"], condition=Q(ended_at__isnull=True), name="live_bindings_by_scope"
            ),
            models.Index(fields=["principal"], condition=Q(ended_at__isnull=True), name="live_bindings_by_principal"),
            models.Index(
                fields=["organization", "expires_at"],
                condition=Q(ended_at__isnull=True, expires_at__isnull=False),
                name="live_bindings_by_expiry",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.decision_type} {self.role_id} to {self.principal_id} at {self.scope_ou_id}"

    def target(self) -> Target:
        return Target("role_binding", self.id, self.role.name, self.organization_id, self.scope_ou.path)
