"""Organizations and the tree of organizational units.

An OU's name and parent never change, so its path (`/acme/engineering/`, always ending in `/`) and its closure rows are
written once.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target


class Organization(models.Model):
    """The tenant. Nothing crosses it. Its root OU has its name."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.SlugField(max_length=63, unique=True)
    display_name = models.CharField(max_length=255)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name

    def target(self) -> Target:
        return Target("organization", self.id, self.name, self.id, f"/{self.name}/")


class AccessEpoch(models.Model):
    """Counts every change of bindings, roles, groups, users, OUs, tokens and policies of an organization.

    Writers of access hold its row exclusively, all other governed writes share it: rights cannot change between asking
    and doing.
    """

    organization = models.OneToOneField(Organization, on_delete=models.PROTECT, primary_key=True)
    number = models.PositiveBigIntegerField(default=1)

    def __str__(self) -> str:
        return f"{self.organization_id} {self.number}"


class OU(models.Model):
    """A node of the tree; every resource lives in exactly one."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="ous")
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="children")
    name = models.CharField(max_length=63)
    display_name = models.CharField(max_length=255)
    path = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "OU"
        verbose_name_plural = "OUs"
        constraints = [
            models.UniqueConstraint(
                fields=["parent", "name"], condition=Q(archived_at__isnull=True), name="one_live_ou_per_name"
            ),
            models.UniqueConstraint(fields=["organization"], condition=Q(parent__isnull=True), name="one_root_ou"),
        ]
        indexes = [models.Index(fields=["organization", "path"], name="ou_by_path")]

    def __str__(self) -> str:
        return self.path

    def target(self) -> Target:
        return Target("ou", self.id, self.name, self.organization_id, self.path)


class OUClosure(models.Model):
    """Every pair of an OU and one at or below it. Written when the OU is made, never changed."""

    ancestor = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="below")
    descendant = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="above")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["descendant", "ancestor"], name="one_ou_closure_row")]

    def __str__(self) -> str:
        return f"{self.ancestor_id} > {self.descendant_id}"


class EgressRule(models.Model):
    """A host pattern (`tools.acme.internal`, `*.acme.internal`) whose private addresses an organization's outbound
    calls may reach. Everything public is open without one; addresses of the machine itself and of cloud metadata never
    are.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="egress_rules")
    pattern = models.CharField(max_length=253)
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "pattern"], condition=Q(archived_at__isnull=True), name="an_egress_rule_once"
            )
        ]

    def __str__(self) -> str:
        return self.pattern

    def target(self) -> Target:
        """Judged at the root: a rule opens the whole organization's way out."""
        return Target("egress_rule", self.id, self.pattern, self.organization_id, f"/{self.organization.name}/")
