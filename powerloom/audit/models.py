"""The audit's tables. Triggers (migration 0002) refuse UPDATE, DELETE and TRUNCATE on the trail, on both databases."""

from __future__ import annotations

from django.db import models

from powerloom.audit.bodies import WIDTHS
from powerloom.kernel.ids import new_id


class Installation(models.Model):
    """The one row that names this installation; stamps and audit bodies carry its id."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.id)


class Entry(models.Model):
    """One link. `body` is the truth; the columns below it are copies to search by, checked against it by `verify`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    chain_id = models.UUIDField()  # the organization, or zero for the installation
    seq = models.BigIntegerField()
    prev_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    body = models.TextField()

    created_at = models.DateTimeField()
    actor_id = models.UUIDField(null=True)
    actor_ref = models.CharField(max_length=WIDTHS["actor_ref"])
    action = models.CharField(max_length=WIDTHS["action"])
    decision = models.CharField(max_length=WIDTHS["decision"])  # allowed | denied | not_found | recorded
    target_kind = models.CharField(max_length=WIDTHS["target_kind"])
    target_id = models.UUIDField(null=True)
    target_name = models.CharField(max_length=WIDTHS["target_name"])
    ou_path = models.TextField()
    set_id = models.UUIDField(null=True)
    request_id = models.CharField(max_length=WIDTHS["request_id"])
    approval_request_id = models.UUIDField(null=True)
    delegated_from_session = models.UUIDField(null=True)

    class Meta:
        db_table = "control_plane_audit"
        verbose_name_plural = "entries"
        constraints = [models.UniqueConstraint(fields=["chain_id", "seq"], name="one_entry_per_place_in_a_chain")]
        indexes = [
            models.Index(fields=["chain_id", "-created_at"], name="audit_by_time"),
            models.Index(fields=["chain_id", "target_kind", "target_id"], name="audit_by_target"),
            models.Index(fields=["chain_id", "actor_ref"], name="audit_by_actor"),
            models.Index(fields=["chain_id", "request_id"], name="audit_by_request"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.action}"


class ChainHead(models.Model):
    """Where a chain ends now. Locked last in every governed transaction, so it is held briefly."""

    chain_id = models.UUIDField(primary_key=True)
    seq = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.chain_id} at {self.seq}"


class DenialWindow(models.Model):
    """Counts equal denials within one minute, so that a flood of them makes one entry and locks the head once.

    Swept after a day: `powerloom.audit.tasks`.
    """

    fingerprint = models.CharField(max_length=64)
    minute = models.DateTimeField()
    count = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["fingerprint", "minute"], name="one_denial_entry_per_minute")]
        indexes = [models.Index(fields=["minute"], name="denials_by_age")]

    def __str__(self) -> str:
        return f"{self.count} since {self.minute}"
