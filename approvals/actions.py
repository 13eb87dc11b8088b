"""Every action of this app."""

from __future__ import annotations

from enum import StrEnum


class Action(StrEnum):
    """What can be done about decisions of others. Alphabetical."""

    ACCESS_REQUEST_CREATE = "access_request:create"  # ask for a right; everyone may, and it is always held
    APPROVAL_CANCEL = "approval:cancel"  # one's own request
    APPROVAL_DECIDE = "approval:decide"
    APPROVAL_READ = "approval:read"
    APPROVAL_POLICY_ARCHIVE = "approval_policy:archive"
    APPROVAL_POLICY_CREATE = "approval_policy:create"
    APPROVAL_POLICY_MANAGE = "approval_policy:manage"  # needed above a policy's scope, besides the action itself
    APPROVAL_POLICY_READ = "approval_policy:read"
    APPROVAL_POLICY_SWITCH_OFF = "approval_policy:switch_off"  # at once, with a reason, held by nobody
    APPROVAL_POLICY_UPDATE = "approval_policy:update"
    WEBHOOK_ARCHIVE = "webhook:archive"
    WEBHOOK_CREATE = "webhook:create"
    WEBHOOK_READ = "webhook:read"
    WEBHOOK_ROTATE = "webhook:rotate"  # another signing secret
    WEBHOOK_TEST = "webhook:test"  # send it something now
    WEBHOOK_UPDATE = "webhook:update"
