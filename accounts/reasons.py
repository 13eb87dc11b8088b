"""Why somebody may not do something, in words, for the control that would do it: disabled with its reason beats
hidden.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Self
from uuid import UUID

from accounts import queries, rbac
from accounts.law import Grant, decide, shown
from powerloom.kernel.refs import Actor, Target


class Reason(str):
    """Why not, in words; "" when nothing stands against it. `action` and `ou_path` are what was asked, so that
    `parts/explain.html` can tell the rest: who may help, and how to ask for it.
    """

    __slots__ = ("action", "ou_path")

    action: str
    ou_path: str

    def __new__(cls, text: str, action: str = "", ou_path: str = "") -> Self:
        """Make a reason; without an action it is of another kind than rights, and its words are all there is."""
        made = super().__new__(cls, text)
        made.action, made.ou_path = action, ou_path
        return made


def reasons_against(
    actor: Actor, target: Target, actions: Collection[str], *, own: Collection[str] = ()
) -> dict[str, Reason]:
    """Return for each action "" when the actor may do it to the target, else why not; one query for all of them.

    `own` are the actions that the law allows because the target is the actor's own.
    """
    grants = rbac.grants(actor, sorted(actions))
    return {action: _reason(actor, grants, action, target, own=action in own) for action in actions}


def reasons_by_target(actor: Actor, targets: Iterable[Target], action: str) -> dict[UUID, Reason]:
    """Return for each target "" when the actor may do the action to it, else why not; one query for all of them."""
    grants = rbac.grants(actor, [action])
    return {target.id: _reason(actor, grants, action, target, own=False) for target in targets}


def reason_anywhere(actor: Actor, action: str) -> Reason:
    """Return "" when some place may exist where the actor may do it, else why not at the root; two queries. For the
    button that begins something whose place is not chosen yet.
    """
    grants, root = rbac.grants(actor, [action]), queries.root_of(actor).target()
    if any(grant.allows for grant in grants) and not rbac.narrowed(actor, action, root.ou_path):
        return Reason("")
    return _reason(actor, grants, action, root, own=False)


def _reason(actor: Actor, grants: list[Grant], action: str, target: Target, *, own: bool) -> Reason:
    if rbac.narrowed(actor, action, target.ou_path):
        return Reason(rbac.denied(action, target, rbac.NARROWED).message)
    decision = decide(grants, action, target.ou_path, target.id)
    if decision.allowed or (own and decision.because is None):
        return Reason("")
    words = rbac.denied(action, target, decision).message.removeprefix("insufficient permissions. ")
    return Reason(words, action, shown(target.ou_path))
