"""The one table of manifests: which things belong to which set, so that a set can be pruned."""

from __future__ import annotations

from django.db import models

from accounts.models import OU, Organization
from powerloom.kernel.ids import new_id


class SetMember(models.Model):
    """One thing that a set of manifests named when it was applied. A thing may belong to several.

    `key` is the ids that it is known by, so another one of its name is not mistaken for it; `metadata` is what its
    document said of its identity.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    ou = models.ForeignKey(OU, on_delete=models.PROTECT, related_name="+")
    set_name = models.CharField(max_length=63)
    kind = models.CharField(max_length=40)
    key = models.CharField(max_length=160)
    metadata = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "set_name", "kind", "key"], name="a_thing_once_per_manifest_set"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key} in {self.set_name}"
