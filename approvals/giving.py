"""Who can give what an access request asks for: whoever may bind roles there and holds every action of the role.

The requester needs nothing but the asking; the deciders' own rights stand for it (`accounts.escalation`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from accounts import escalation, rbac
from accounts.escalation import Widening
from accounts.granters import actions_of
from accounts.law import Grant, decide, narrowed
from accounts.models import Role, User
from accounts.tokens import actor_of_user
from approvals.models import Demand
from powerloom.kernel.refs import Actor

GRANTING = "role_binding:create"


def widening_of(demand: Demand) -> Widening:
    """Return the rights that a demand is about: those of the role it gives, at its OU, for so long from now."""
    assert demand.role_given_id is not None, "only an access request gives a role"
    role = Role.objects.get(pk=demand.role_given_id)
    until = timezone.now() + timedelta(seconds=demand.seconds_given or 0)
    return Widening(actions_of(role), demand.ou.path, until=until)


def givers(people: Iterable[User], demand: Demand) -> list[UUID]:
    """Return those of these people who could give it; a constant number of queries."""
    found = list(people)
    held = rbac.grants_by_member([person.pk for person in found])
    widening = widening_of(demand)
    return [person.pk for person in found if _can(actor_of_user(person), held.get(person.pk, []), widening)]


def beyond(actor: Actor, demands: Sequence[Demand]) -> list[Demand]:
    """Return those of the demands that ask for more than the actor, token and all, could give."""
    giving = [demand for demand in demands if demand.role_given_id]
    if not giving:
        return []
    held = rbac.grants(actor)
    return [demand for demand in giving if not _can(actor, held, widening_of(demand))]


def _can(actor: Actor, held: Sequence[Grant], widening: Widening) -> bool:
    place = widening.scope_path
    if narrowed(actor, GRANTING, place) or not decide(held, GRANTING, place).allowed:
        return False
    return escalation.first_lacking(actor, held, [widening]) is None
