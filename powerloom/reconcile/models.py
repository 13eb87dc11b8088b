"""The tables of convergence. `SyncState` is the queue: what is due is what differs, is not parked and is not leased.

SyncState    one object that must exist on CMA (or no longer)
Lane         an organization whose key or account CMA refuses; its rows pause together
RateBucket   what is left of an account's calls, shared by all workers
SweepPass    when an account was looked through last, and who does it now
Orphan       something on CMA that carries our stamp and that no row knows
"""

from __future__ import annotations

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Now

from powerloom.kernel.ids import new_id

DUE = Q(parked_at__isnull=True) & (Q(desired_hash="") | ~Q(desired_hash=F("actual_hash")))

IS_DUE = Case(When(DUE, then=Value(True)), default=Value(False))


class Urgency(models.IntegerChoices):
    """Who goes first when there is more to do than calls to do it with."""

    REVOKE = 0  # taking something away: it must not wait for anybody's additions
    CHANGE = 1


class SyncState(models.Model):
    """One object that must exist on CMA.

    `desired_hash` is empty while nobody has computed it since the last change; `actual_hash` is empty while nothing is
    there, or while what is there must be read again before anything is sent. `generation` counts changes of what is
    wanted: a result is recorded only for the generation it was computed from. `attempted_at` is set before a create and
    cleared by its recorded answer: while set, an answer may have been lost, so the engine looks for its own stamp
    before it creates again. `is_due` is computed by the database, so that the index of what is due is small whatever
    the number of rows.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    kind = models.CharField(max_length=40)
    object_id = models.UUIDField()
    organization_id = models.UUIDField()
    desired_hash = models.CharField(max_length=64, default="", blank=True)
    actual_hash = models.CharField(max_length=64, default="", blank=True)
    remote_id = models.CharField(max_length=128, default="", blank=True)
    remote_version = models.CharField(max_length=64, default="", blank=True)
    remote_updated_at = models.CharField(max_length=40, default="", blank=True)
    generation = models.PositiveBigIntegerField(default=1)
    urgency = models.PositiveSmallIntegerField(choices=Urgency, default=Urgency.CHANGE)
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveIntegerField(default=0)
    attempted_at = models.DateTimeField(null=True, blank=True)
    lease_owner = models.CharField(max_length=64, default="", blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    parked_at = models.DateTimeField(null=True, blank=True)
    condition = models.CharField(
        max_length=40, default="", blank=True
    )  # a word for programs, see powerloom.reconcile.result
    last_error = models.TextField(default="", blank=True)  # a sentence for people
    waits_for = models.TextField(default="", blank=True)
    waits_on = models.UUIDField(null=True, blank=True)  # the object whose arrival ends the wait
    drift = models.JSONField(null=True, blank=True)  # field diff found by the sweep, until reconverged
    actual = models.JSONField(null=True, blank=True)  # projection of the last answer, for the field diff
    synced_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)
    is_due = models.GeneratedField(expression=IS_DUE, output_field=models.BooleanField(), db_persist=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "object_id"], name="one_sync_state_per_object")]
        indexes = [
            models.Index(fields=["organization_id", "urgency", "due_at"], condition=Q(is_due=True), name="sync_due"),
            models.Index(fields=["kind", "remote_id"], name="sync_by_remote"),
            models.Index(fields=["organization_id"], name="sync_by_organization"),
            models.Index(fields=["waits_on"], condition=Q(waits_on__isnull=False), name="sync_waiting"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_id}"


class Lane(models.Model):
    """An organization that CMA refuses as a whole (401, 402): nothing of it is tried before `paused_until`.

    After that one row goes first; its success removes the lane, its refusal pauses it again.
    """

    organization_id = models.UUIDField(primary_key=True)
    sentence = models.TextField()
    since = models.DateTimeField()
    paused_until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.organization_id}: {self.sentence}"


class RateBucket(models.Model):
    """What is left of one class of calls of one account. `level` may be below zero after more calls than were
    foreseen.
    """

    account = models.CharField(max_length=64)  # keyed hash, never the key
    call_class = models.CharField(max_length=20)
    level = models.FloatField()
    filled_at = models.DateTimeField()
    blocked_until = models.DateTimeField(null=True, blank=True)  # CMA said so with a 429

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "call_class"], name="one_bucket_per_class")]

    def __str__(self) -> str:
        return f"{self.account} {self.call_class}: {self.level:.1f}"


class SweepPass(models.Model):
    """One account's turn in looking for drift."""

    account = models.CharField(max_length=64, primary_key=True)
    due_at = models.DateTimeField()
    lease_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    calls = models.PositiveIntegerField(default=0)  # read calls of the last pass

    def __str__(self) -> str:
        return f"{self.account} due {self.due_at}"


class Orphan(models.Model):
    """Something on CMA with our stamp that no row knows: the other half of a lost answer, or of a restored backup.

    It is shown, never removed by itself: sessions may run on it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.CharField(max_length=64)
    organization_id = models.UUIDField()
    kind = models.CharField(max_length=40)
    object_id = models.UUIDField()  # what its stamp names
    remote_id = models.CharField(max_length=128)
    found_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "remote_id"], name="an_orphan_once")]
        indexes = [models.Index(fields=["organization_id"], name="orphans_of_organization")]

    def __str__(self) -> str:
        return f"{self.kind} {self.remote_id}"
