"""What is to be told about requests, and to whom it was."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from approvals.models.requests import ApprovalRequest
from powerloom.kernel.ids import new_id


class Notice(models.Model):
    """Something that happened to a request. Due until a worker has told everybody whom it concerns."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="notices")
    event = models.CharField(max_length=10)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "event"], name="an_event_is_told_once")]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="notices_due")]

    def __str__(self) -> str:
        return f"{self.event}: {self.request_id}"
