"""Who may decide what a request demands: holders of a role there, members of a group, or whoever holds an action.

A person decides a demand who holds what it names at its OU now, could give what it gives, may read everything that the
request touches, and has not asked for it. Being named by a policy is enough; a deny of `approval:decide` still wins
(`accounts.rbac`), and so does one of the action that a demand names. A private demand is asked of one person alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from accounts.models import OU, Binding, DecisionType, PrincipalClosure, RoleAction, User
from accounts.roles import builtins_allowing
from accounts.tokens import actor_of_user
from approvals import giving
from approvals.models import ApprovalRequest, Decision, Demand, Verdict
from powerloom.kernel.refs import Actor, Target


def demanded_of(principal_id: UUID | None) -> QuerySet[Demand]:
    """Return every demand that names this principal, as a query."""
    speaks = PrincipalClosure.objects.filter(member_id=principal_id)
    live = _live_bindings().filter(
        principal__spoken_by__member_id=principal_id, scope_ou__below__descendant=OuterRef("ou_id")
    )
    by_role = Exists(live.filter(role_id=OuterRef("approver_role_id")))
    in_group = Q(approver_group_id__in=speaks.values("principal_id"))
    # A demand by action is asked for few actions, each of which is expanded here once.
    denying = _live_bindings(DecisionType.DENY).filter(
        principal__spoken_by__member_id=principal_id, scope_ou__below__descendant=OuterRef("ou_id")
    )
    by_action = barred = Q(pk__in=[])
    for action in ACTIONS_DEMANDED:
        by_action |= Q(approver_action=action, is_private=False) & Q(Exists(live.filter(_roles_with(action))))
        barred |= Q(approver_action=action) & Q(Exists(denying.filter(_roles_with(action))))
    by_name = Q(approver_user_id=principal_id, approver_user_id__isnull=False)
    return Demand.objects.filter((Q(by_role) | in_group | by_action | by_name) & ~barred)


ACTIONS_DEMANDED = ("tool_call:confirm", "role_binding:create")


def meets(actor: Actor, request: ApprovalRequest) -> bool:
    """Tell whether the actor is somebody who decides this request: named by a demand whose gift it could make, no
    asker, and no agent.
    """
    return _is_person(actor, request) and bool(answered(actor, request))


def answered(actor: Actor, request: ApprovalRequest) -> list[Demand]:
    """Return the demands of the request that the actor answers."""
    named = list(demanded_of(actor.principal_id).filter(request=request).select_related("ou"))
    beyond = {demand.pk for demand in giving.beyond(actor, named)}
    return [demand for demand in named if demand.pk not in beyond]


def too_much_for(actor: Actor, pending: QuerySet[ApprovalRequest]) -> list[int]:
    """Return the demands of these requests that name the actor and ask for more than it could give."""
    giving_some = Demand.objects.filter(request__in=pending, role_given_id__isnull=False)
    if not giving_some.exists():  # few give anything, and whom a demand names costs more to ask
        return []
    named = demanded_of(actor.principal_id).filter(pk__in=giving_some)
    return [demand.pk for demand in giving.beyond(actor, list(named.select_related("ou")))]


def unmet(request: ApprovalRequest, demands: Sequence[Demand]) -> list[Demand]:
    """Return the demands that the approving decisions so far do not meet, each asked of its deciders now."""
    deciders = list(
        Decision.objects.filter(request=request, verdict=Verdict.APPROVE).values_list("decider_id", flat=True)
    )
    standing: dict[int, int] = {}
    for decider in User.objects.filter(pk__in=deciders, is_active=True).exclude(pk__in=request.askers):
        for demand in answered(actor_of_user(decider), request):
            standing[demand.pk] = standing.get(demand.pk, 0) + 1
    return [demand for demand in demands if standing.get(demand.pk, 0) < demand.quorum]


def people(demand: Demand, *, but: Sequence[str] = ()) -> QuerySet[User]:
    """Return the active people who could decide the demand now."""
    named = Q(pk__in=[])
    if demand.approver_group_id:
        named |= Q(pk__in=PrincipalClosure.objects.filter(principal_id=demand.approver_group_id).values("member_id"))
    if demand.approver_role_id:
        named |= Q(pk__in=_holders(demand.ou, Q(role_id=demand.approver_role_id)))
    if demand.approver_action and not demand.is_private:
        named |= Q(pk__in=_holders(demand.ou, _roles_with(demand.approver_action)))
    if demand.approver_user_id:
        named |= Q(pk=demand.approver_user_id)
    if demand.approver_action:
        named &= ~Q(pk__in=_holders(demand.ou, _roles_with(demand.approver_action), DecisionType.DENY))
    found = User.objects.filter(named, organization_id=demand.ou.organization_id, is_active=True).exclude(pk__in=but)
    return found.filter(pk__in=giving.givers(found, demand)) if demand.role_given_id else found


def anybody(demands: Iterable[Demand], *, but: Sequence[str] = ()) -> QuerySet[User]:
    """Return the active people who could decide one of the demands now; one query for any number."""
    named = Q(pk__in=[])
    for demand in demands:
        named |= Q(pk__in=people(demand, but=but).values("pk"))
    return User.objects.filter(named)


def first_people(demands: Sequence[Demand], *, but: Sequence[str], most: int) -> list[list[str]]:
    """Return for each demand the first `most` people by e-mail who could decide it now; two queries for any number of
    demands that name a role or a group, and some more for each that names an action.
    """
    naming = _principals_named([demand for demand in demands if not demand.approver_action])
    emails = _first_emails({id_ for ids in naming.values() for id_ in ids}, but=but, most=most)
    return [
        list(people(demand, but=but).order_by("email").values_list("email", flat=True)[:most])
        if demand.approver_action
        else sorted({email for id_ in naming[_named(demand)] for email in emails.get(id_, ())})[:most]
        for demand in demands
    ]


def counts(demands: Sequence[Demand]) -> list[int]:
    """Return how many active people could decide each of these demands, which name a role or a group; two queries."""
    naming = _principals_named(demands)
    active = User.objects.filter(is_active=True).values("pk")
    speaking = PrincipalClosure.objects.filter(
        principal_id__in=set().union(*naming.values()), member_id__in=active
    ).values_list("principal_id", "member_id")
    people_of: dict[UUID, set[UUID]] = {}
    for principal, member in speaking:
        people_of.setdefault(principal, set()).add(member)
    return [len(set().union(*(people_of.get(id_, set()) for id_ in naming[_named(demand)]))) for demand in demands]


Named = tuple[UUID, UUID | None, UUID | None, UUID | None]


def _named(demand: Demand) -> Named:
    return demand.ou_id, demand.approver_role_id, demand.approver_group_id, demand.approver_user_id


def _principals_named(demands: Sequence[Demand]) -> dict[Named, set[UUID]]:
    """Return whom the demands are asked of: groups and people that they name, and whoever is bound to their roles."""
    roles = {demand.approver_role_id for demand in demands if demand.approver_role_id}
    ous = {demand.ou_id for demand in demands}
    bound: dict[tuple[UUID, UUID], set[UUID]] = {}
    live = _live_bindings().filter(role_id__in=roles, scope_ou__below__descendant_id__in=ous)
    for role, ou, principal in live.values_list("role_id", "scope_ou__below__descendant_id", "principal_id"):
        bound.setdefault((role, ou), set()).add(principal)
    found: dict[Named, set[UUID]] = {}
    for ou_id, role_id, group_id, user_id in map(_named, demands):
        named = {id_ for id_ in (group_id, user_id) if id_} | (bound.get((role_id, ou_id), set()) if role_id else set())
        found[ou_id, role_id, group_id, user_id] = named
    return found


def _first_emails(principals: Collection[UUID], *, but: Sequence[str], most: int) -> dict[UUID, list[str]]:
    """Return the first e-mails of those for whom each principal speaks: of several together, the first are among
    these.
    """
    rows = PrincipalClosure.objects.filter(principal_id__in=principals).exclude(
        member_id__in=[UUID(asker) for asker in but]
    )
    person = User.objects.filter(pk=OuterRef("member_id"), is_active=True)
    ranked = rows.annotate(email=Subquery(person.values("email"))).filter(email__isnull=False)
    place = Window(RowNumber(), partition_by="principal_id", order_by="email")
    first = ranked.annotate(place=place).filter(place__lte=most)
    found: dict[UUID, list[str]] = {}
    for principal, email in first.values_list("principal_id", "email"):
        found.setdefault(principal, []).append(email)
    return found


def _holders(ou: OU, roles: Q, decision: str = DecisionType.ALLOW) -> QuerySet[PrincipalClosure, UUID]:
    bindings = _live_bindings(decision).filter(roles, scope_ou__below__descendant=ou)
    speaking = PrincipalClosure.objects.filter(principal_id__in=bindings.values("principal_id"))
    return speaking.values_list("member_id", flat=True)


def _live_bindings(decision: str = DecisionType.ALLOW) -> QuerySet[Binding]:
    unexpired = Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now())
    return Binding.objects.filter(unexpired, ended_at__isnull=True, resource_id__isnull=True, decision_type=decision)


def _roles_with(action: str) -> Q:
    return Q(role_id__in=builtins_allowing(action)) | Q(Exists(_naming(action)))


def _naming(action: str) -> QuerySet[RoleAction]:
    return RoleAction.objects.filter(role_id=OuterRef("role_id"), action=action)


def _is_person(actor: Actor, request: ApprovalRequest) -> bool:
    return actor.kind == "user" and str(actor.id) not in request.askers


def place_of(request: ApprovalRequest) -> Target:
    """Return what a decision acts on: the request, at the OU of what it changes."""
    return request.target()


def bindings_behind(demand: Demand, user_id: UUID) -> list[Binding]:
    """Return the bindings by which a person answers a demand for a role or an action."""
    if demand.approver_role_id:
        roles = Q(role_id=demand.approver_role_id)
    elif demand.approver_action and not demand.is_private:
        roles = _roles_with(demand.approver_action)
    else:
        return []
    live = _live_bindings().filter(roles, scope_ou__below__descendant=demand.ou)
    return list(live.filter(principal__spoken_by__member_id=user_id).select_related("role", "scope_ou"))
