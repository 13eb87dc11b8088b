"""Whether an approved set may pass now: the last question, asked inside the transaction that applies it.

What runs is what was approved, so every object that the set names must stand as it stood, and it reaches nothing that
nobody was shown. And every policy of this moment must be met, by people who are still eligible, who may read what they
approved, and whom the requester did not make eligible himself.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q

from accounts.models import OU, User
from accounts.tokens import actor_of_user
from approvals import eligibility, exposure, provenance
from approvals.demands import Asked
from approvals.effects import Effect
from approvals.models import ApprovalRequest, Decision, Demand, Verdict
from approvals.tickets import marks_of
from powerloom.commands.registry import Case
from powerloom.kernel.errors import Conflict, Stale


def check(request: ApprovalRequest, cases: Sequence[Case], caused: Sequence[Effect], asked: Sequence[Asked]) -> None:
    """Raise `Stale` when something that was approved has changed, `Conflict` when a policy is not met now."""
    _check_marks(request, cases)
    _check_reach(request, caused)
    deciders = _standing_deciders(request)
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


def _check_marks(request: ApprovalRequest, cases: Sequence[Case]) -> None:
    if not request.marks:  # a question's: no set was loaded when it was asked
        return
    now, then = ({tuple(mark) for mark in marks} for marks in (marks_of(cases), request.marks))
    changed = sorted({label for label, _, _ in now ^ then})
    if changed:
        raise Stale(
            f"Since this was asked, something it names has changed ({', '.join(changed)}). Ask again.", changed=changed
        )


def _check_reach(request: ApprovalRequest, caused: Sequence[Effect]) -> None:
    """Raise `Stale` when an agent got what is changed meanwhile: nobody was shown that this reaches it."""
    shown = {(effect["action"], effect["id"]) for effect in request.effects}
    reached = {(effect.action, str(effect.target.id)) for effect in caused if not effect.is_own}
    if more := reached - shown:
        raise Stale(f"Since this was asked, it has come to reach {len(more)} more that it would change. Ask again.")


def _standing_deciders(request: ApprovalRequest) -> list[User]:
    """Return the people who approved, are active, have not asked, and may read everything it touches."""
    said = Decision.objects.filter(request=request, verdict=Verdict.APPROVE).values("decider_id")
    people = User.objects.filter(pk__in=said, organization_id=request.organization_id, is_active=True)
    return [
        person
        for person in people
        if str(person.pk) not in request.askers and not exposure.unread(actor_of_user(person), request)
    ]


def _answers(decider: User, asked: Asked, request: ApprovalRequest) -> bool:
    ou = OU.objects.filter(Q(organization_id=request.organization_id), path=asked.ou_path).first() or request.ou
    demand = Demand(
        ou=ou,
        approver_role_id=asked.approver_role_id,
        approver_group_id=asked.approver_group_id,
        approver_action=asked.approver_action,
        approver_user_id=asked.approver_user_id,
        is_private=asked.is_private,
        role_given_id=asked.role_given_id,
        seconds_given=asked.seconds_given,
    )
    if not eligibility.people(demand).filter(pk=decider.pk).exists():
        return False
    return provenance.stands(request, decider, demand)
