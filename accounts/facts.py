"""What the law looked at when it was asked, in its order, and what would change a no: for refusals and for `explain`.

The facts come in the order in which the law asks them: who speaks, the token, the denies, the allows. What the reader
may not read is "a rule you cannot see": it counts, but is not told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any  # JSON
from uuid import UUID

from django.db.models import Q

from accounts.granters import smallest_role, who_can_end, who_can_grant
from accounts.law import NARROWED, Decision, Grant, shown
from accounts.models import OU, Principal, PrincipalClosure
from powerloom.kernel.explanation import UNSEEN, Explanation, Fact, Remedy
from powerloom.kernel.refs import Actor, Target

NOTHING = "nothing on the path allows it"


@dataclass(frozen=True)
class Asked:
    """May the actor, with its token, do this there? `ref` is the principal whose rights count. `is_own`: it is the
    reader who asks, for itself.
    """

    actor: Actor
    ref: str
    action: str
    ou_path: str
    resource_id: UUID | None = None
    is_own: bool = True


def explained(asked: Asked, decision: Decision, grants: Sequence[Grant], seen: Sequence[Grant]) -> Explanation:
    """Return the facts of a decision and, of a no, the least that would change it. `seen` are the grants that the
    reader may read.
    """
    speaking = [grant for grant in grants if grant.covers(asked.action, asked.ou_path, asked.resource_id)]
    facts = [_who(asked), *_token(asked, decision), *_rules(speaking, decision, seen)]
    if not decision.allowed and decision.because is None and decision is not NARROWED:
        facts.append(Fact("nothing", NOTHING, decides=True))
    return Explanation(tuple(facts), () if decision.allowed else tuple(_remedy(asked, decision, speaking, seen)))


def refused(actor: Actor, action: str, target: Target, decision: Decision, grants: Sequence[Grant]) -> Explanation:
    """Return why the actor was refused, for itself to read."""
    asked = Asked(actor, _ref_of(actor), action, target.ou_path, target.id)
    return explained(asked, decision, grants, grants)


def refused_for_another(action: str, target: Target, granters: Sequence[str]) -> Explanation:
    """Return why another's lack of a right refuses the actor, who may know nothing of what speaks for that one."""
    place = shown(target.ou_path)
    found = (
        Fact("principal", f"the agent's principal needs {action} on {place}"),
        Fact("nothing", f"{UNSEEN}, or none at all: it is not allowed there", decides=True),
    )
    text = f"Bind a role with {action} on {place} to the agent's principal."
    return Explanation(found, (Remedy("grant", text, tuple(granters)),))


def _ref_of(actor: Actor) -> str:
    if actor.id == actor.principal_id:
        return actor.ref
    found = Principal.objects.filter(Q(pk=actor.principal_id)).values_list("ref", flat=True).first()
    return found or actor.ref


def _who(asked: Asked) -> Fact:
    speaking = PrincipalClosure.objects.filter(member_id=asked.actor.principal_id)
    refs = list(speaking.order_by("principal__ref").values_list("principal__ref", flat=True))
    if not refs:
        return _fact("principal", f"{asked.ref} is disabled and speaks for nobody")
    return _fact("principal", f"{asked.ref} speaks as {', '.join(refs)}")


def _token(asked: Asked, decision: Decision) -> list[Fact]:
    if asked.actor.token_id is None and asked.actor.narrowing is None:
        return []
    if decision is NARROWED:
        return [_fact("token", NARROWED.reason, decides=True)]
    return [_fact("token", "the token reaches this action here")]


def _rules(speaking: Sequence[Grant], decision: Decision, seen: Sequence[Grant]) -> list[Fact]:
    ordered = sorted(speaking, key=lambda grant: grant.allows)
    return [_rule(grant, decides=grant is decision.because, is_seen=grant in seen) for grant in ordered]


def _rule(grant: Grant, *, decides: bool, is_seen: bool) -> Fact:
    kind = "allow" if grant.allows else "deny"
    if not is_seen:
        return _fact(kind, UNSEEN, decides=decides)
    text = f"{kind} of {grant.role} to {grant.principal_ref} on {shown(grant.scope_path)}"
    return _fact(kind, text, decides=decides, binding=grant.as_json())


def _fact(kind: str, text: str, *, decides: bool = False, binding: dict[str, Any] | None = None) -> Fact:
    return Fact(kind, text, decides, {"binding": binding})


def _remedy(asked: Asked, decision: Decision, speaking: Sequence[Grant], seen: Sequence[Grant]) -> list[Remedy]:
    """Return the steps, in order, after which the answer would be yes."""
    if decision is NARROWED:
        return [Remedy("token", "Use a token that is not narrowed so far.", (asked.ref,))]
    denies = [grant for grant in speaking if not grant.allows]
    steps = [_end(asked, grant, is_seen=grant in seen) for grant in denies]
    if len(denies) == len(speaking):
        steps.append(_grant(asked, is_enough=not denies))
    return steps


def _end(asked: Asked, deny: Grant, *, is_seen: bool) -> Remedy:
    if not is_seen:
        return Remedy("end_deny", f"End {UNSEEN}.")
    who = who_can_end(deny.actions, deny.scope_path, asked.actor.organization_id, but=deny.binding_id)
    text = f"End the deny of {deny.role} to {deny.principal_ref} on {shown(deny.scope_path)}."
    return Remedy("end_deny", text, tuple(who), more={"binding": deny.as_json()})


def _grant(asked: Asked, *, is_enough: bool) -> Remedy:
    """Say which binding would help; where it alone is enough, as the body of an access request that asks for it."""
    organization_id = asked.actor.organization_id
    role, actions = smallest_role(asked.action, organization_id)
    place = shown(asked.ou_path)
    ou = OU.objects.filter(Q(organization_id=organization_id), path=asked.ou_path, archived_at__isnull=True).first()
    more: dict[str, Any] = {
        "role_id": str(role.id),
        "role": role.name,
        "principal_id": str(asked.actor.principal_id),
        "scope_ou_id": str(ou.id) if ou else None,
        "scope_ou_path": place,
    }
    may_ask = ou and is_enough and asked.is_own and asked.actor.kind == "user"
    request = {"action": asked.action, "ou_id": str(ou.id)} if ou and may_ask else None
    who = who_can_grant(actions, asked.ou_path, organization_id)
    return Remedy("grant", f"Bind {role.name} on {place} to {asked.ref}.", tuple(who), request, more)
