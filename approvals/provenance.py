"""Where somebody's eligibility comes from: whether it stands without what the requester gave.

The trail says who gave what. Of a membership, a home, an account that was enabled and a password the last giver counts;
a binding is given once, and one that was asked for by whoever approved that. Whoever set a person's password last can
sign in as that person, so that is a gift too, until its owner sets another one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any  # payloads are JSON
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.law import shown
from accounts.models import Binding, Membership, Principal, PrincipalClosure, PrincipalKind, User
from approvals import eligibility
from approvals.demands import ACCESS_REQUEST
from approvals.models import ApprovalRequest, Decision, Demand, Verdict
from powerloom.audit.models import Entry

ADDED, BOUND = "group:add_member", "role_binding:create"
HOUSED = ("user:create", "user:move")
LENT = ("user:enable", "user:set_password")
NAMED = ("role:create", "role:update")


def stands(request: ApprovalRequest, decider: User, demand: Demand) -> bool:
    """Tell whether the decider, who is eligible now, would be so without anything that the requester gave."""
    if demand.approver_user_id == decider.pk:
        return True
    gifts = _Gifts(request)
    if any(gifts.is_last_by_requester(decider.pk, [action]) for action in LENT):
        return False
    speaking = _unaided(decider, gifts)
    if demand.approver_group_id:
        return demand.approver_group_id in speaking
    bindings = [one for one in eligibility.bindings_behind(demand, decider.pk) if one.principal_id in speaking]
    lent = gifts.roles_lent(decider.pk)
    kept = {one.role_id for one in bindings if not gifts.has_bound(one.pk) and not _is_among(lent, one, decider)}
    return bool(kept - gifts.roles_named(kept, demand.approver_action) if demand.approver_action else kept)


class _Gifts:
    """What the trail says that the requester gave."""

    def __init__(self, request: ApprovalRequest) -> None:
        self._done = Entry.objects.filter(chain_id=request.organization_id, decision="allowed").order_by("seq")
        self._askers = {UUID(asker) for asker in request.askers}

    def has_bound(self, binding_id: UUID) -> bool:
        return self._by_requester(self._done.filter(action=BOUND, target_id=binding_id)).exists()

    def roles_lent(self, asker_id: UUID) -> set[tuple[str, str]]:
        """Return role and scope of everything that this person asked for a time and the requester approved."""
        rows = self._done.filter(action=ACCESS_REQUEST, actor_id=asker_id).values_list("approval_request_id", "body")
        said = Decision.objects.filter(verdict=Verdict.APPROVE, decider_id__in=self._askers)
        approved = set(said.filter(request_id__in=[id_ for id_, _ in rows if id_]).values_list("request_id", flat=True))
        given = [_after(body) for id_, body in rows if id_ in approved]
        return {(after["role"], after["scope_ou_path"]) for after in given}

    def is_last_by_requester(self, target_id: UUID, actions: Iterable[str]) -> bool:
        last = self._done.filter(action__in=tuple(actions), target_id=target_id).last()
        return last is not None and last.actor_id in self._askers

    def memberships(self, groups: Iterable[UUID]) -> set[tuple[UUID, str]]:
        """Return the group and the member's ref of every membership in these that the requester gave last."""
        rows = self._done.filter(action=ADDED, target_id__in=set(groups))
        givers = {
            (group, _after(body)["added"]): actor
            for group, body, actor in rows.values_list("target_id", "body", "actor_id")
            if group
        }
        return {edge for edge, actor in givers.items() if actor in self._askers}

    def roles_named(self, roles: Iterable[UUID], action: str) -> set[UUID]:
        """Return those of the roles into which the requester has written the action."""
        rows = self._by_requester(self._done.filter(action__in=NAMED, target_id__in=set(roles)))
        found = rows.values_list("target_id", "body")
        return {role for role, body in found if role and action in _after(body).get("actions", ())}

    def _by_requester(self, rows: QuerySet[Entry]) -> QuerySet[Entry]:
        return rows.filter(actor_id__in=self._askers)


def _is_among(lent: set[tuple[str, str]], binding: Binding, decider: User) -> bool:
    """Tell whether a binding is what was lent: one of the person's own, that runs out."""
    is_own = binding.principal_id == decider.pk and binding.expires_at is not None
    return is_own and (binding.role.name, shown(binding.scope_ou.path)) in lent


def _unaided(decider: User, gifts: _Gifts) -> set[UUID]:
    """Return whoever speaks for the decider by what others gave: itself, its home, its groups and those above."""
    speaking = set(PrincipalClosure.objects.filter(member_id=decider.pk).values_list("principal_id", flat=True))
    rows = Principal.objects.filter(pk__in=speaking).values_list("pk", "kind", "ref")
    refs = {pk: ref for pk, _, ref in rows} | {decider.pk: decider.ref}
    home = {pk for pk, kind, _ in rows if kind == PrincipalKind.OU}
    reached = {decider.pk} | (set() if gifts.is_last_by_requester(decider.pk, HOUSED) else home)
    given = gifts.memberships(speaking)
    inside = Membership.objects.filter(Q(group_id__in=speaking), member_id__in=refs)
    pairs = inside.values_list("group_id", "member_id")
    edges = [(group, member) for group, member in pairs if (group, refs[member]) not in given]
    while more := {group for group, member in edges if member in reached} - reached:
        reached |= more
    return reached


def _after(body: str) -> dict[str, Any]:
    after: dict[str, Any] | None = json.loads(body)["after"]
    return after or {}
