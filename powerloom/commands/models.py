"""The one table of the write path itself."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from powerloom.kernel.ids import new_id


class IdempotencyRecord(models.Model):
    """One Idempotency-Key of one actor and token on one route. Swept after 24 hours."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    actor_id = models.UUIDField(null=True)
    token_id = models.UUIDField(null=True)
    route = models.CharField(max_length=200)
    key = models.CharField(max_length=255)
    body_digest = models.CharField(max_length=64)
    set_id = models.UUIDField(null=True)
    refs = models.JSONField(default=list)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["actor_id", "token_id", "route", "key"],
                condition=Q(token_id__isnull=False),
                name="one_use_of_a_key_per_token",
            ),
            models.UniqueConstraint(
                fields=["actor_id", "route", "key"],
                condition=Q(token_id__isnull=True),
                name="one_use_of_a_key_per_login",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_by_age")]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"
