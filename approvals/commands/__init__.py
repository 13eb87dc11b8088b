"""What can be done about policies and requests, by noun. Importing this registers every handler."""

from approvals.commands.policies import (
    ArchivePolicy,
    CreatePolicy,
    PolicyChanges,
    PolicyFields,
    SwitchOffPolicy,
    UpdatePolicy,
)
from approvals.commands.requests import CancelRequest, DecideRequest

__all__ = [
    "ArchivePolicy",
    "CancelRequest",
    "CreatePolicy",
    "DecideRequest",
    "PolicyChanges",
    "PolicyFields",
    "SwitchOffPolicy",
    "UpdatePolicy",
]
