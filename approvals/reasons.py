"""Why a set was held, for whoever asked for it.

That a policy holds it, and which, may always be told; what the policy looks at only to who may read policies there.
What a set reaches besides what was asked for is named to who may read that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any  # JSON

from accounts.law import shown
from approvals.actions import Action
from approvals.exposure import UNSEEN_THING, Eyes
from approvals.matching import Match
from approvals.models import ApprovalRequest, Demand
from powerloom.kernel.explanation import UNSEEN, Explanation, Fact, Remedy
from powerloom.kernel.refs import Actor


def of_hold(
    actor: Actor,
    request: ApprovalRequest,
    decision: Mapping[str, Any],
    matches: Sequence[Match],
    demands: Sequence[Demand],
    deciders: Sequence[Sequence[str]],
) -> dict[str, Any]:
    """Return why the set waits, what each policy matched on, who decides and until when. `decision` is how the actor's
    own rights allowed it, `deciders` some people for each demand. Asked once the set is rolled back, so that it gives
    nobody eyes; a constant number of queries.
    """
    eyes = Eyes(actor, [Action.APPROVAL_POLICY_READ, *(f"{match.effect.target.kind}:read" for match in matches)])
    facts = [_rights(decision), *_policies(eyes, matches)]
    facts += [Fact("kind", "a request for rights waits for who can give them", decides=True)] * any(
        demand.policy_id is None for demand in demands
    )
    facts.append(Fact("clock", f"it waits until {request.expires_at:%Y-%m-%d %H:%M} UTC, then it ends unapplied"))
    return Explanation(tuple(facts), tuple(map(_approve, demands, deciders))).as_json()


def _rights(decision: Mapping[str, Any]) -> Fact:
    because = decision.get("because")
    if not isinstance(because, Mapping):
        return Fact("own", "it is yours to ask for")
    words = "{decision_type} of {role} to {principal_ref} on {scope_ou_path}".format(**because)
    return Fact("allow", words, more={"binding": dict(because)})


def _policies(eyes: Eyes, matches: Sequence[Match]) -> list[Fact]:
    """Return a fact for each policy, by the first effect that it matched on."""
    firsts: dict[Any, Match] = {}
    for match in matches:
        firsts.setdefault(match.policy.id, match)
    return [_policy(eyes, match) for match in firsts.values()]


def _policy(eyes: Eyes, match: Match) -> Fact:
    policy, target = match.policy, match.effect.target
    more = {"policy": policy.name, "effect": match.effect.action}
    if not eyes.see(Action.APPROVAL_POLICY_READ, policy.scope_path):
        return Fact("policy", f"the policy {policy.name} holds it by {UNSEEN}", decides=True, more=more)
    is_named = match.effect.is_own or eyes.see(f"{target.kind}:read", target.ou_path, target.id)
    what = f"{match.effect.action} on {target.name if is_named else UNSEEN_THING}"
    if match.guards:
        why = "changes it, or who decides for it"
    else:
        why = f"comes under {policy.action_pattern} on {shown(policy.scope_path)}{_condition(match)}"
    return Fact("policy", f"the policy {policy.name} holds it: {what} {why}", decides=True, more=more)


def _condition(match: Match) -> str:
    condition = match.policy.condition
    if match.doubt:
        return f" where {condition}, which cannot be decided and so counts as true: {match.doubt}"
    return f" where {condition}" if condition else ""


def _approve(demand: Demand, deciders: Sequence[str]) -> Remedy:
    more = {"quorum": demand.quorum, "policy": demand.policy_name}
    return Remedy("approve", _how(demand), tuple(f"user:{email}" for email in deciders), more=more)


def _how(demand: Demand) -> str:
    place = shown(demand.ou.path)
    if demand.role_given_id:
        needed = f"{demand.approver_action} and every right of that role on {place}"
        return f"Have it approved by one of the {demand.approver}: it takes {needed}."
    times = "" if demand.quorum == 1 else f", {demand.quorum} of them"
    return f"Have it approved by {demand.approver} on {place}{times}."
