"""Whether an approved set may pass now: the last question, asked inside the transaction that applies it.

What runs is what was approved, so every object that the set names must stand as it stood. And every policy of this
moment must be met, by people who are still eligible, who may read what they approved, and whom the requester did not
make eligible himself.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

from django.db.models import Q, QuerySet

from accounts.commands.bindings import actions_of
from accounts.escalation import Widening, require_held
from accounts.models import OU, Binding, Principal, PrincipalClosure, User
from accounts.tokens import actor_of_user
from approvals import eligibility
from approvals.demands import ACCESS_REQUEST, Asked
from approvals.models import ApprovalRequest, Decision, Demand, Verdict
from approvals.tickets import marks_of
from powerloom.audit.models import Entry
from powerloom.commands.registry import Case
from powerloom.kernel.errors import Conflict, Denied, Stale


def check(request: ApprovalRequest, cases: Sequence[Case], asked: Sequence[Asked]) -> None:
    """Raise `Stale` when something that was approved has changed, `Conflict` when a policy is not met now."""
    _check_marks(request, cases)
    deciders = _standing_deciders(request)
    for case in cases:
        if case.command.action == ACCESS_REQUEST:
            _check_giver(case, deciders)
    for one in asked:
        met = [decider for decider in deciders if _answers(decider, one, request)]
        if len(met) < one.quorum:
            raise Conflict(
                f"The policy {one.policy_name} asks for {one.quorum} approvals of {one.approver}; "
                f"{len(met)} of those given count now. Ask again.",
                policy=one.policy_name,
                needed=one.quorum,
                given=len(met),
            )


def _check_giver(case: Case, deciders: Sequence[User]) -> None:
    """Raise `Denied` unless one of those who approved holds all that is to be given, as if he gave it himself."""
    ou, role = case.subject.row
    given = Widening(actions_of(role), ou.path)
    refusals = [refusal for decider in deciders if (refusal := _refusal(decider, given))]
    if len(refusals) == len(deciders):
        raise refusals[0] if refusals else Conflict("Nobody who approved this still counts. Ask again.")


def _refusal(decider: User, given: Widening) -> Denied | None:
    try:
        require_held(actor_of_user(decider), [given])
    except Denied as refusal:
        return refusal
    return None


def _check_marks(request: ApprovalRequest, cases: Sequence[Case]) -> None:
    now = {(label, id_): value for label, id_, value in marks_of(cases)}
    then = {(label, id_): value for label, id_, value in request.marks}
    changed = sorted({label for (label, id_), value in then.items() if now.get((label, id_)) != value})
    if changed:
        raise Stale(
            f"Since this was asked, something it names has changed ({', '.join(changed)}). Ask again.", changed=changed
        )


def _standing_deciders(request: ApprovalRequest) -> list[User]:
    """Return the people who approved, are active, have not asked, and may read everything it touches."""
    said = Decision.objects.filter(request=request, verdict=Verdict.APPROVE).values("decider_id")
    people = User.objects.filter(pk__in=said, organization_id=request.organization_id, is_active=True)
    return [
        person
        for person in people
        if str(person.pk) not in request.askers and not eligibility.unread(actor_of_user(person), request)
    ]


def _answers(decider: User, asked: Asked, request: ApprovalRequest) -> bool:
    ou = OU.objects.filter(Q(organization_id=request.organization_id), path=asked.ou_path).first() or request.ou
    demand = Demand(
        ou=ou,
        approver_role_id=asked.approver_role_id,
        approver_group_id=asked.approver_group_id,
        approver_action=asked.approver_action,
        approver_user_id=asked.approver_user_id,
    )
    if not eligibility.people(demand).filter(pk=decider.pk).exists():
        return False
    return not _made_by(request, decider, demand)


def _made_by(request: ApprovalRequest, decider: User, demand: Demand) -> bool:
    """Tell whether the decider is eligible only because of what the requester gave: a binding, or a membership."""
    if demand.approver_user_id == decider.pk:
        return False
    mine = Entry.objects.filter(chain_id=request.organization_id, actor_id__in=request.askers)
    speaking = PrincipalClosure.objects.filter(member_id=decider.pk).values_list("principal_id", flat=True)
    joined = _groups_given(mine, set(speaking), decider)
    if demand.approver_group_id:
        return demand.approver_group_id in joined
    bindings = eligibility.bindings_behind(demand, decider.pk)
    given = {id_ for id_ in mine.filter(action="role_binding:create").values_list("target_id", flat=True) if id_}
    return bool(bindings) and all(_is_given(one, given, joined) for one in bindings)


def _is_given(binding: Binding, given: set[UUID], joined: set[UUID]) -> bool:
    return binding.pk in given or binding.principal_id in joined


def _groups_given(mine: QuerySet[Entry], speaking: set[UUID], decider: User) -> set[UUID]:
    """Return the groups that speak for the decider and that the requester put him, or a group of his, into."""
    refs = set(Principal.objects.filter(pk__in=speaking).values_list("ref", flat=True)) | {decider.ref}
    rows = mine.filter(action="group:add_member", target_id__in=speaking)
    added = rows.values_list("target_id", "body")
    return {group for group, body in added if group and json.loads(body)["after"]["added"] in refs}
