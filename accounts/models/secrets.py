"""Sealed values and the secret store. A value goes in and is never shown again."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.models.tree import OU, Organization
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target


class Sealed(models.Model):
    """One value under envelope encryption: its own data key, wrapped by a master key. Bound to organization, kind, id
    and version.

    Made at the edge, before the command that takes it; `expires_at` is when it is swept if no command ever does.
    """

    # How long it waits, and under which master key, makes no other value of it.
    MARKED: ClassVar[frozenset[str]] = frozenset({"kind", "version"})

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=40)
    version = models.PositiveIntegerField(default=1)
    key_id = models.CharField(max_length=255)
    wrapped_key = models.BinaryField()
    nonce = models.BinaryField()
    ciphertext = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "sealed values"
        indexes = [
            models.Index(fields=["expires_at"], condition=Q(expires_at__isnull=False), name="sealed_but_not_taken"),
            models.Index(fields=["key_id"], name="sealed_by_master_key"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Secret(models.Model):
    """A named value of an OU, of a kind (what it may be used for), write-only. Found by name in its OU and all below.

    `version` counts its values. Deleting one destroys the value and keeps the row.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="secrets")
    ou = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="secrets")
    name = models.CharField(max_length=63)
    kind = models.CharField(max_length=40)
    description = models.TextField(blank=True)
    sealed = models.ForeignKey(Sealed, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    rotated_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["ou", "name"], condition=Q(archived_at__isnull=True), name="one_live_secret_per_name"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def target(self) -> Target:
        return Target("secret", self.id, self.name, self.organization_id, self.ou.path)
