"""Delegations: by what the tools of one session act for the person who started it."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models.tree import Organization
from powerloom.kernel.ids import new_id


class Delegation(models.Model):
    """One session's, made with it. It is good while a turn of the session is under way (`sessions.delegations` asks)
    and carries what its user came with, so that it is as narrow and ends as early.

    `bearer_hash` is of the bearer in the session's own vault; empty until that is made. `cma_vault_id` is CMA's id of
    the vault, empty before it is made and after it is gone; with `vault_attempted_at` and no id, an answer may be lost.
    `vault_due_at` is when CMA is asked again to delete one that it did not.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="+")
    user_id = models.UUIDField()  # as the audit knows it, like agent and session: none of them lies below this app
    user_ref = models.CharField(max_length=320)
    agent_id = models.UUIDField()
    session_id = models.UUIDField(unique=True)
    token_id = models.UUIDField(null=True, blank=True)
    password_mark = models.CharField(max_length=16, blank=True)
    narrowing = models.JSONField(null=True, blank=True)
    bearer_hash = models.CharField(max_length=64, blank=True)
    cma_vault_id = models.CharField(max_length=128, blank=True)
    vault_attempted_at = models.DateTimeField(null=True, blank=True)
    vault_due_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["bearer_hash"], condition=~Q(bearer_hash=""), name="a_bearer_of_one_session"
            )
        ]
        indexes = [
            models.Index(
                fields=["vault_attempted_at"],
                condition=Q(vault_attempted_at__isnull=False),
                name="delegations_with_a_vault",
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_ref} in {self.session_id}"
