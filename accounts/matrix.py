"""Who may do what in one OU, with the binding that decides: the law asked for a page of people and one noun's actions.

A binding that the caller may not read counts and is not told, as everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from accounts import rbac
from accounts.actions import Action
from accounts.explain import may_read
from accounts.law import Decision, Grant, decide, shown
from accounts.models import OU, Principal
from accounts.roles import known_actions
from powerloom.kernel.explanation import UNSEEN
from powerloom.kernel.refs import Actor

HIDDEN = "a rule"


@dataclass(frozen=True)
class Cell:
    """One answer: the role that decides, and the whole rule in words."""

    allowed: bool
    word: str
    rule: str
    action: str


def nouns() -> list[str]:
    """Return what actions are about, in order."""
    return sorted({action.partition(":")[0] for action in known_actions()})


def actions_about(noun: str) -> list[str]:
    """Return the actions of one noun, in order."""
    return sorted(action for action in known_actions() if action.startswith(f"{noun}:"))


def cells(
    actor: Actor, ou: OU, people: Sequence[Principal], grants: Mapping[UUID, list[Grant]], actions: Sequence[str]
) -> dict[UUID, list[Cell | None]]:
    """Return for each person the answer to each action; None where nothing speaks. One query, for what may be told."""
    own = rbac.grants(actor, [Action.ROLE_BINDING_READ])
    return {
        one.pk: [_cell(actor, own, decide(grants.get(one.pk, []), action, ou.path), action, one) for action in actions]
        for one in people
    }


def _cell(actor: Actor, own: Sequence[Grant], found: Decision, action: str, one: Principal) -> Cell | None:
    because = found.because
    if because is None:
        return None
    if one.pk != actor.principal_id and not may_read(actor, own, because):
        return Cell(found.allowed, HIDDEN, UNSEEN, action)
    kind = "allow" if because.allows else "deny"
    rule = f"{kind} of {because.role} to {because.principal_ref} on {shown(because.scope_path)}"
    return Cell(found.allowed, because.role, rule, action)
