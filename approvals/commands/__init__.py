"""What can be done about policies and requests, by noun. Importing this registers every handler."""

from approvals.commands.access import CreateAccessRequest
from approvals.commands.policies import (
    ArchivePolicy,
    CreatePolicy,
    PolicyChanges,
    PolicyFields,
    SwitchOffPolicy,
    UpdatePolicy,
)
from approvals.commands.requests import CancelRequest, DecideRequest
from approvals.commands.webhooks import ArchiveWebhook, CreateWebhook, RotateWebhook, TestWebhook, UpdateWebhook

__all__ = [
    "ArchivePolicy",
    "ArchiveWebhook",
    "CancelRequest",
    "CreateAccessRequest",
    "CreatePolicy",
    "CreateWebhook",
    "DecideRequest",
    "PolicyChanges",
    "PolicyFields",
    "RotateWebhook",
    "SwitchOffPolicy",
    "TestWebhook",
    "UpdatePolicy",
    "UpdateWebhook",
]
