"""What stands against an act on a policy: words for the control that is switched off. The bus decides all the same."""

from __future__ import annotations

from accounts import rbac
from accounts.queries import root_of
from accounts.reasons import Reason, reasons_against
from approvals.actions import Action
from approvals.models import ApprovalPolicy
from powerloom.kernel.refs import Actor

ACTS = {
    "update": Action.APPROVAL_POLICY_UPDATE,
    "archive": Action.APPROVAL_POLICY_ARCHIVE,
    "switch_off": Action.APPROVAL_POLICY_SWITCH_OFF,
}
MANAGED = ("update", "archive")  # these need the right to manage above the scope too


def obstacles(actor: Actor, policy: ApprovalPolicy) -> dict[str, Reason]:
    """Return for each act "" when nothing stands against it, else why."""
    rights = reasons_against(actor, policy.target(), list(ACTS.values()))
    above = (policy.scope_ou.parent or policy.scope_ou).target()
    managing = reasons_against(actor, above, [Action.APPROVAL_POLICY_MANAGE])[Action.APPROVAL_POLICY_MANAGE]
    return {act: rights[action] or (managing if act in MANAGED else Reason("")) for act, action in ACTS.items()}


def against_making(actor: Actor) -> Reason:
    """Return "" when the actor may make a policy somewhere, else why not."""
    grants = rbac.grants(actor, [Action.APPROVAL_POLICY_CREATE])
    if any(grant.allows for grant in grants):
        return Reason("")
    return reasons_against(actor, root_of(actor).target(), [Action.APPROVAL_POLICY_CREATE])[
        Action.APPROVAL_POLICY_CREATE
    ]
