"""What is to be told about requests, and to whom it was: by mail, and to webhooks."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.models import Organization, Sealed, User
from approvals.models.requests import ApprovalRequest
from powerloom.kernel.ids import new_id
from powerloom.kernel.refs import Target


class Notice(models.Model):
    """Something that happened to a request. Due until its mails and deliveries are written, once."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    request = models.ForeignKey(ApprovalRequest, on_delete=models.CASCADE, related_name="notices")
    event = models.CharField(max_length=10)
    created_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "event"], name="an_event_is_told_once")]
        indexes = [models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="notices_due")]

    def __str__(self) -> str:
        return f"{self.event}: {self.request_id}"


class Errand(models.Model):
    """Something to be sent: due, leased while it is being sent, tried again with longer pauses, given up at the end."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    notice = models.ForeignKey(Notice, on_delete=models.CASCADE, related_name="%(class)ss")
    attempts = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)
    outcome = models.CharField(max_length=200, blank=True)  # of the last try, in words without any address

    class Meta:
        abstract = True


class Mail(Errand):
    """One mail to one person about one event."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["notice", "user"], name="one_mail_per_person_and_event")]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="mails_due"),
            models.Index(fields=["user", "sent_at"], name="mails_by_person"),
        ]

    def __str__(self) -> str:
        return f"{self.notice_id} to {self.user_id}"


class Webhook(models.Model):
    """An address of an organization that is told what happens to requests, signed as Standard Webhooks says.

    Nothing is sent any more after many failures in a row: `off_reason` says so, until somebody changes it.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    organization = models.ForeignKey(Organization, on_delete=models.PROTECT, related_name="webhooks")
    name = models.CharField(max_length=63)
    url = models.CharField(max_length=2048)
    events = models.JSONField(default=list)  # empty: all
    sealed = models.ForeignKey(Sealed, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    is_on = models.BooleanField(default=True)
    off_reason = models.CharField(max_length=300, blank=True)
    failures = models.PositiveIntegerField(default=0)  # in a row
    generation = models.PositiveBigIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], condition=Q(archived_at__isnull=True), name="one_live_webhook_per_name"
            )
        ]

    def __str__(self) -> str:
        return self.name

    def target(self) -> Target:
        """Judged at the root: it is told what happens in the whole organization."""
        return Target("webhook", self.id, self.name, self.organization_id, f"/{self.organization.name}/")


class Delivery(Errand):
    """One event for one webhook, with what came of the last try: the log keeps the status, never an answer's text."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [models.UniqueConstraint(fields=["notice", "webhook"], name="one_delivery_per_webhook_and_event")]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(due_at__isnull=False), name="deliveries_due"),
            models.Index(fields=["webhook", "-id"], name="deliveries_of_webhook"),
        ]

    def __str__(self) -> str:
        return f"{self.notice_id} to {self.webhook_id}"
