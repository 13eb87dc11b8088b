"""Sign-ins of programs without a browser (RFC 8628), from the code that is shown to the token that is fetched.

Only keyed hashes of both codes are kept, and no token ever: it is made when the program fetches it.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q

from accounts.models.principals import User
from accounts.models.tree import OU
from powerloom.kernel.ids import new_id


class DeviceLogin(models.Model):
    """One sign-in. What the person chose for its token stands here between saying yes and the token."""

    class Status(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        DENIED = "denied"
        SPENT = "spent"

    MOVES: ClassVar[dict[str, frozenset[str]]] = {
        Status.PENDING: frozenset({Status.APPROVED, Status.DENIED}),
        Status.APPROVED: frozenset({Status.SPENT}),
    }

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    device_hmac = models.CharField(max_length=64, unique=True)
    user_hmac = models.CharField(max_length=64, unique=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    client_name = models.CharField(max_length=100)
    scope = models.JSONField(default=list)  # the actions that the program asked for; none: whatever the person may
    address = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    interval = models.PositiveSmallIntegerField()  # seconds between two looks
    next_look_at = models.DateTimeField()

    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="device_logins")
    password_mark = models.CharField(max_length=16, blank=True)  # a changed password takes the yes back
    token_name = models.CharField(max_length=255, blank=True)
    token_actions = models.JSONField(null=True, blank=True)
    token_ou = models.ForeignKey(OU, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    token_expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "sign-in"
        indexes = [models.Index(fields=["expires_at"], name="device_logins_by_end")]
        constraints = [
            models.CheckConstraint(
                condition=Q(status="pending") | Q(user__isnull=False), name="device_login_decided_by_somebody"
            )
        ]

    def __str__(self) -> str:
        return f"{self.client_name} ({self.status})"
