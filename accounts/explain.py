"""Why somebody may or may not do something: the same evaluator as the write path, with its reasons.

What the caller may not read is "a rule you cannot see": it counts, but is not told (`accounts.facts`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any  # JSON
from uuid import UUID

from accounts import queries, rbac
from accounts.actions import Action
from accounts.facts import Asked, explained
from accounts.law import NARROWED, Decision, Grant, decide, narrowed, shown
from accounts.models import OU, Principal
from accounts.roles import known_actions
from powerloom.kernel.errors import Invalid
from powerloom.kernel.explanation import UNSEEN
from powerloom.kernel.refs import Actor


@dataclass(frozen=True)
class Question:
    """May this principal do this action in this OU? `asker` is the actor to judge: the caller itself, token and all, or
    the other principal without a token.
    """

    caller: Actor
    principal: Principal
    asker: Actor
    action: str
    ou: OU

    @property
    def is_own(self) -> bool:
        return self.asker is self.caller


def asked(caller: Actor, action: str, ou_id: UUID, principal_id: UUID | None) -> Question:
    """Return the question, once the caller may ask it: about itself always, about others with `access:explain` there.

    Raises `Invalid` on an unknown action, `NotFound`, `Denied`.
    """
    if action not in known_actions():
        raise Invalid("There is no such action.", field="action")
    ou = queries.ou_for(caller, ou_id)
    principal = queries.principal_for(caller, principal_id or caller.id)
    if principal.id == caller.id:
        return Question(caller, principal, caller, action, ou)
    _require_explain(caller, ou)
    other = replace(caller, principal_id=principal.acts_as_id or principal.id, token_id=None, narrowing=None)
    return Question(caller, principal, other, action, ou)


def check(question: Question) -> dict[str, Any]:
    """Return the answer and the binding that decided it, if the caller may read it."""
    decision, grants = _decided(question)
    return _answer(question, decision, _seen(question, grants))


def explain(question: Question) -> dict[str, Any]:
    """Return the answer with its facts in order, and the least that would change a no, with those who can do it."""
    decision, grants = _decided(question)
    seen = _seen(question, grants)
    judged = Asked(question.asker, question.principal.ref, question.action, question.ou.path, is_own=question.is_own)
    return _answer(question, decision, seen) | explained(judged, decision, grants, seen).as_json()


def _answer(question: Question, decision: Decision, seen: Sequence[Grant]) -> dict[str, Any]:
    is_told = decision.because is None or decision.because in seen
    return {
        "allowed": decision.allowed,
        "principal_id": str(question.principal.id),
        "action": question.action,
        "ou_id": str(question.ou.id),
        "ou_path": shown(question.ou.path),
        "because": decision.because.as_json() if decision.because and is_told else None,
        "reason": decision.reason if is_told else UNSEEN,
    }


def _require_explain(caller: Actor, ou: OU) -> None:
    decision = rbac.may(caller, Action.ACCESS_EXPLAIN, ou.path)
    if not decision.allowed:
        raise rbac.refusal(caller, Action.ACCESS_EXPLAIN, ou.target(), decision)


def _decided(question: Question) -> tuple[Decision, list[Grant]]:
    grants = rbac.grants(question.asker, [question.action])
    if narrowed(question.asker, question.action, question.ou.path):
        return NARROWED, grants
    return decide(grants, question.action, question.ou.path), grants


def _seen(question: Question, grants: Sequence[Grant]) -> list[Grant]:
    """Return the grants that the caller may read: those that speak for itself, and those where it may read bindings."""
    if question.is_own:
        return list(grants)
    own = rbac.grants(question.caller, [Action.ROLE_BINDING_READ])
    return [grant for grant in grants if may_read(question.caller, own, grant)]


def may_read(caller: Actor, own: Iterable[Grant], grant: Grant) -> bool:
    """Tell whether the caller may be told of a grant; `own` are its own grants about reading bindings. No query."""
    if narrowed(caller, Action.ROLE_BINDING_READ, grant.scope_path):
        return False
    return decide(own, Action.ROLE_BINDING_READ, grant.scope_path).allowed
