"""Why somebody may or may not do something: the same evaluator as the write path, with its reasons.

The facts come in the order in which the law asks them: the token, the denies, the allows. What the caller may not read
is "a rule you cannot see": it counts, but is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any  # JSON
from uuid import UUID

from accounts import queries, rbac
from accounts.actions import Action
from accounts.granters import who_can_end, who_can_grant
from accounts.law import NARROWED, Decision, Grant, decide, narrowed, shown
from accounts.models import OU, Principal, PrincipalClosure, Role
from accounts.roles import builtin_actions, known_actions
from powerloom.kernel.errors import Invalid
from powerloom.kernel.refs import Actor

UNSEEN = "a rule you cannot see"


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


@dataclass(frozen=True)
class Fact:
    """One thing the law looked at. `decides` marks the one that settled it."""

    kind: str
    text: str
    decides: bool = False
    binding: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "text": self.text, "decides": self.decides, "binding": self.binding}


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
    facts = [_who(question), *_token(question, decision), *_rules(question, decision, grants, seen)]
    if not decision.allowed and decision.because is None and decision is not NARROWED:
        facts.append(Fact("nothing", "nothing on the path allows it", decides=True))
    steps = [] if decision.allowed else _remedy(question, decision, grants, seen)
    decided_by = next((fact.text for fact in facts if fact.decides), None)
    shown_facts = [fact.as_json() for fact in facts]
    return _answer(question, decision, seen) | {"facts": shown_facts, "decided_by": decided_by, "remedy": steps}


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
        raise rbac.denied(Action.ACCESS_EXPLAIN, ou.target(), decision)


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
    return [grant for grant in grants if _may_read(question.caller, own, grant)]


def _may_read(caller: Actor, own: Iterable[Grant], grant: Grant) -> bool:
    if narrowed(caller, Action.ROLE_BINDING_READ, grant.scope_path):
        return False
    return decide(own, Action.ROLE_BINDING_READ, grant.scope_path).allowed


def _who(question: Question) -> Fact:
    speaking = PrincipalClosure.objects.filter(member_id=question.asker.principal_id)
    refs = list(speaking.order_by("principal__ref").values_list("principal__ref", flat=True))
    ref = question.principal.ref
    if not refs:
        return Fact("principal", f"{ref} is disabled and speaks for nobody")
    return Fact("principal", f"{ref} speaks as {', '.join(refs)}")


def _token(question: Question, decision: Decision) -> list[Fact]:
    if question.asker.token_id is None and question.asker.narrowing is None:
        return []
    if decision is NARROWED:
        return [Fact("token", NARROWED.reason, decides=True)]
    return [Fact("token", "the token reaches this action here")]


def _rules(question: Question, decision: Decision, grants: Sequence[Grant], seen: Sequence[Grant]) -> list[Fact]:
    speaking = [grant for grant in grants if grant.covers(question.action, question.ou.path, None)]
    ordered = sorted(speaking, key=lambda grant: grant.allows)
    return [_rule(grant, decides=grant is decision.because, is_seen=grant in seen) for grant in ordered]


def _rule(grant: Grant, *, decides: bool, is_seen: bool) -> Fact:
    kind = "allow" if grant.allows else "deny"
    if not is_seen:
        return Fact(kind, UNSEEN, decides)
    text = f"{kind} of {grant.role} to {grant.principal_ref} on {shown(grant.scope_path)}"
    return Fact(kind, text, decides, grant.as_json())


def _remedy(
    question: Question, decision: Decision, grants: Sequence[Grant], seen: Sequence[Grant]
) -> list[dict[str, Any]]:
    """Return the steps, in order, after which the answer would be yes."""
    if decision is NARROWED:
        return [{"kind": "token", "text": "Use a token that is not narrowed so far.", "who": [question.principal.ref]}]
    speaking = [grant for grant in grants if grant.covers(question.action, question.ou.path, None)]
    steps = [_end(question, grant, is_seen=grant in seen) for grant in speaking if not grant.allows]
    if not any(grant.allows for grant in speaking):
        steps.append(_grant(question))
    return steps


def _end(question: Question, deny: Grant, *, is_seen: bool) -> dict[str, Any]:
    if not is_seen:
        return {"kind": "end_deny", "text": f"End {UNSEEN}.", "who": []}
    who = who_can_end(deny.actions, deny.scope_path, question.caller.organization_id, but=deny.binding_id)
    text = f"End the deny of {deny.role} to {deny.principal_ref} on {shown(deny.scope_path)}."
    return {"kind": "end_deny", "text": text, "binding": deny.as_json(), "who": who}


def _grant(question: Question) -> dict[str, Any]:
    role, actions = _smallest(question.caller, question.action)
    place = shown(question.ou.path)
    return {
        "kind": "grant",
        "text": f"Bind {role.name} on {place} to {question.principal.ref}.",
        "role_id": str(role.id),
        "role": role.name,
        "principal_id": str(question.asker.principal_id),
        "scope_ou_id": str(question.ou.id),
        "scope_ou_path": place,
        "who": who_can_grant(actions, question.ou.path, question.caller.organization_id),
    }


def smallest_role(actor: Actor, action: str) -> Role:
    """Return the role with the fewest actions that has this one; OrgAdmin has them all, so there always is one."""
    return _smallest(actor, action)[0]


def _smallest(actor: Actor, action: str) -> tuple[Role, frozenset[str]]:
    sized = [(role, _actions_of(role)) for role in queries.roles_visible_to(actor)]
    fitting = [(role, actions) for role, actions in sized if action in actions]
    return min(fitting, key=lambda found: (len(found[1]), found[0].name))


def _actions_of(role: Role) -> frozenset[str]:
    if role.organization_id is None:
        return builtin_actions(role.name)
    return frozenset(entry.action for entry in role.role_actions.all())
