"""Long-lived bearer tokens. Only a keyed hash is kept; the token itself is shown once."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models.principals import Principal
from accounts.models.tree import OU, Organization
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target


class AccessTokenQuerySet(models.QuerySet["AccessToken"]):
    def live(self) -> AccessTokenQuerySet:
        """Return the tokens that still open something: not revoked, not over, not of an OU that was archived."""
        unexpired = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
        placed = Q(ou__isnull=True) | Q(ou__archived_at__isnull=True)
        return self.filter(unexpired, placed, revoked_at__isnull=True)


class AccessToken(models.Model):
    """A personal access token of a user, or the token of an agent. `actions` and `ou` narrow it; both null means not
    narrowed.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="access_tokens")
    principal = models.ForeignKey(Principal, on_delete=models.PROTECT, related_name="access_tokens")
    name = models.CharField(max_length=255)
    prefix = models.CharField(max_length=16)  # shown in lists, so that a person can tell tokens apart
    hmac = models.CharField(max_length=64, unique=True)
    actions = models.JSONField(null=True, blank=True)
    ou = models.ForeignKey(OU, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    made_by_token = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="made")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = AccessTokenQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["principal", "-created_at"], name="tokens_by_principal")]

    def __str__(self) -> str:
        return f"{self.prefix}… {self.name}"

    def target(self) -> Target:
        return Target("token", self.id, self.name, self.organization_id, "")
