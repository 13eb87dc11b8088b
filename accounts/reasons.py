"""Why somebody may not do something, in words, for the control that would do it: disabled with its reason beats
hidden.
"""

from __future__ import annotations

from collections.abc import Collection

from accounts import rbac
from accounts.law import Grant, decide
from powerloom.kernel.refs import Actor, Target


def reasons_against(
    actor: Actor, target: Target, actions: Collection[str], *, own: Collection[str] = ()
) -> dict[str, str]:
    """Return for each action "" when the actor may do it to the target, else why not; one query for all of them.

    `own` are the actions that the law allows because the target is the actor's own.
    """
    grants = rbac.grants(actor, sorted(actions))
    return {action: _reason(actor, grants, action, target, own=action in own) for action in actions}


def _reason(actor: Actor, grants: list[Grant], action: str, target: Target, *, own: bool) -> str:
    if rbac.narrowed(actor, action, target.ou_path):
        return rbac.denied(action, target, rbac.NARROWED).message
    decision = decide(grants, action, target.ou_path, target.id)
    if decision.allowed or (own and decision.because is None):
        return ""
    return rbac.denied(action, target, decision).message.removeprefix("insufficient permissions. ")
