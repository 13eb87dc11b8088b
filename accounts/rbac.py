"""The law of access, once.

A binding is (principal, role, scope OU, allow or deny, perhaps until a moment) and covers its scope and all below; one
with a resource covers that resource alone.

    A deny anywhere on the path wins; else an allow anywhere on the path; else no.

Three questions, one base query (`_live`): `grants` + `decide` answer for one place and say because of what, `permitted`
filters a list in SQL, `authorize` is the step of the write path. There is no bypass switch. The pure half is
`accounts.law`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any  # handlers of every command type, JSON
from uuid import UUID

from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts import epoch, facts
from accounts.granters import who_can_grant
from accounts.law import NARROWED, ONLY_BY_NAME, Decision, Grant, decide, is_root, narrowed, shown, withheld
from accounts.models import OU, Binding, DecisionType, Role, RoleAction
from accounts.roles import builtin_actions, builtin_id, builtins_allowing
from accounts.tokens import is_good
from powerloom.commands.registry import Case, Handler, Need
from powerloom.kernel.errors import Denied, PowerloomError, Unauthenticated
from powerloom.kernel.explanation import Explanation
from powerloom.kernel.refs import Actor, Target

__all__ = [
    "NARROWED",
    "ONLY_BY_NAME",
    "Decision",
    "Grant",
    "authorize",
    "decide",
    "denied",
    "grant_of",
    "grants",
    "grants_by_member",
    "grants_by_name",
    "grants_naming",
    "grants_of",
    "grants_of_many",
    "grants_through",
    "held_through",
    "is_root",
    "may",
    "narrowed",
    "permitted",
    "permitted_to",
    "refusal",
    "shown",
    "withheld",
]

Verdict = dict[str, Any] | PowerloomError

OWN_ACTIONS = frozenset(
    {
        "access_request:create",
        "approval:cancel",
        "approval:decide",
        "token:create",
        "token:revoke",
        "user:set_password",
        "session:message",
        "session:confirm",
        "session:interrupt",
        "session:close",
        "session:rename",
        "session:delete",
    }
)
SYSTEM_ACTIONS = frozenset(
    {
        "file_root:grant",
        "file_root:revoke",
        "organization:create",
        "tool_call:answer",
        "user:set_operator",
        "user:set_password",
    }
)


def grants(actor: Actor, actions: Sequence[str] | None = None) -> list[Grant]:
    """Load every live binding that speaks for the actor, or only those about `actions`: one query, and one more where
    roles are custom.
    """
    return grants_of(actor.principal_id, actor.organization_id, actions)


def grants_of(
    principal_id: UUID | None, organization_id: UUID | None, actions: Sequence[str] | None = None
) -> list[Grant]:
    """Load the live bindings that speak for a principal; custom roles' actions come in a second query."""
    rows = _bindings(principal_id, organization_id)
    return _loaded(rows) if actions is None else _loaded_about(rows, actions)


def grants_by_member(member_ids: Collection[UUID], action: str | None = None) -> dict[UUID, list[Grant]]:
    """Load the live bindings, or only those about one action, that speak for each of these principals; two queries for
    any number, and one more where roles are custom.

    One for whom nothing speaks, a disabled user among others, is absent.
    """
    about = _live() if action is None else _about(_live(), action)
    speaking = about.annotate(member=F("principal__spoken_by__member_id"))
    pairs = list(speaking.filter(member__in=member_ids).values_list("member", "pk"))
    loaded = {grant.binding_id: grant for grant in _loaded(_live().filter(pk__in={binding for _, binding in pairs}))}
    found: dict[UUID, list[Grant]] = {}
    for member, binding in pairs:
        if binding in loaded:  # one that ended between the two queries speaks for nobody
            found.setdefault(member, []).append(loaded[binding])
    return found


def grants_of_many(principal_ids: Collection[UUID]) -> list[Grant]:
    """Load the live bindings that speak for any of these principals."""
    return _loaded(_live().filter(principal__spoken_by__member_id__in=principal_ids).distinct())


def grants_naming(principal_ids: Collection[UUID]) -> list[Grant]:
    """Load the live bindings that name one of these principals itself."""
    return _loaded(_live().filter(principal_id__in=principal_ids))


def grants_by_name(principal_ids: Collection[UUID]) -> dict[UUID, list[Grant]]:
    """As `grants_naming`, by the principal that each names."""
    found: dict[UUID, list[Grant]] = {}
    for row, grant in _pairs(_live().filter(principal_id__in=principal_ids)):
        found.setdefault(row.principal_id, []).append(grant)
    return found


def grants_through(role_id: UUID) -> list[Grant]:
    """Load the live bindings of a role."""
    return _loaded(_live().filter(role_id=role_id))


def permitted(actor: Actor, action: str, *, ou_field: str = "ou_id", resource_field: str | None = None) -> Q:
    """Return the filter of a list to the rows the actor may do `action` on: one EXISTS for allow, one for deny.

    `ou_field` names the column with the row's OU; `resource_field` the row's id where single-resource grants exist.
    """
    if _is_beyond_token(actor, action):
        return Q(pk__in=[])
    live = _about(_bindings(actor.principal_id, actor.organization_id), action)
    law = _law(live, ou_field, resource_field)
    if actor.narrowing and actor.narrowing.ou_path is not None:
        inside = OU.objects.filter(pk=OuterRef(ou_field), path__startswith=actor.narrowing.ou_path)
        law &= Q(Exists(inside))
    return law


def held_through(actor: Actor, role: str, *, ou_field: str = "ou_id") -> Q:
    """Return the filter of a list to the rows at or above whose OU the actor is given this built-in role, whatever else
    it is given. It allows nothing by itself: for what not even every right is enough.
    """
    live = _bindings(actor.principal_id, actor.organization_id)
    named = live.filter(role_id=builtin_id(role), decision_type=DecisionType.ALLOW, resource_id__isnull=True)
    return Q(Exists(named.filter(scope_ou__below__descendant=OuterRef(ou_field))))


def permitted_to(member_field: str, action: str, *, ou_field: str, resource_field: str) -> Q:
    """Return the filter of rows to those that the principal in one of their columns may do `action` on.

    `member_field` names that column, an annotation too. What narrows tokens does not apply to it. The moment is the
    database's, so that the filter may be compiled once and asked for ever.
    """
    live = _about(_live(Now()), action).filter(principal__spoken_by__member_id=OuterRef(member_field))
    return _law(live, ou_field, resource_field)


def _law(live: QuerySet[Binding], ou_field: str, resource_field: str | None) -> Q:
    """Say of rows with an OU, and perhaps an id that grants name, what these bindings say."""
    here = live.filter(scope_ou__below__descendant=OuterRef(ou_field))
    whole = Q(resource_id__isnull=True)
    here = here.filter(whole | Q(resource_id=OuterRef(resource_field)) if resource_field else whole)
    allowed = Exists(here.filter(decision_type=DecisionType.ALLOW))
    return Q(allowed) & ~Q(Exists(here.filter(decision_type=DecisionType.DENY)))


def _is_beyond_token(actor: Actor, action: str) -> bool:
    narrowing = actor.narrowing
    named = narrowing is None or narrowing.actions is None or action in narrowing.actions
    return not named or withheld(actor, action)


def may(actor: Actor, action: str, ou_path: str, resource_id: UUID | None = None) -> Decision:
    """Decide one question outside the write path; one query, and one more where roles are custom."""
    if narrowed(actor, action, ou_path):
        return NARROWED
    return decide(grants(actor, [action]), action, ou_path, resource_id)


def authorize(actor: Actor, handlers: Sequence[Handler[Any]]) -> Callable[[Sequence[Case]], list[Verdict]]:
    """The first step of the write path: lock the access epoch, load the actor's grants as they are before the set.

    Returns the function that judges cases of one type: it answers for each with the decision for the audit, or with the
    refusal. Its queries do not grow with the cases.
    """
    epoch.hold(actor.organization_id, exclusively=any(handler.changes_access for handler in handlers))
    _refuse_ended(actor)
    before = [] if actor.kind == "system" else grants(actor)
    asked = Asked(actor, before)

    def judge_one(case: Case) -> dict[str, Any]:
        action, target = case.command.action, case.target
        if actor.kind == "system":
            return _system(action)
        decision = _judged(actor, before, action, target)
        if not decision.allowed and not (decision.because is None and _is_own(case)):
            raise asked.refusal(action, target, decision)
        for need in case.subject.needs:
            asked.meet(need)
        return _as_entry(decision)

    def judge(cases: Sequence[Case]) -> list[Verdict]:
        asked.know(need for case in cases for need in case.subject.needs)
        verdicts = [_verdict(judge_one, case) for case in cases]
        if any(case.handler.changes_access for case in cases):
            asked.others.clear()  # what they give or take counts for the principals of agents from here on
        return verdicts

    return judge


def _verdict(judge: Callable[[Case], dict[str, Any]], case: Case) -> Verdict:
    try:
        return judge(case)
    except PowerloomError as error:
        return error


def _refuse_ended(actor: Actor) -> None:
    """Raise `Unauthenticated` when account, sign-in or token ended since the edge asked. Under the lock none does."""
    if actor.kind != "system" and not is_good(actor):
        raise Unauthenticated("This sign-in or token is no longer good.")


def _judged(actor: Actor, before: Sequence[Grant], action: str, target: Target) -> Decision:
    if narrowed(actor, action, target.ou_path):
        return NARROWED
    return decide(before, action, target.ou_path, target.id)


class Asked:
    """What one set was asked and told already, so that no question costs a query twice.

    `others` is what speaks for principals other than the actor; refusals are known by action and place, unless
    something that speaks for the actor is about single resources.
    """

    def __init__(self, actor: Actor, before: Sequence[Grant]) -> None:
        self._actor = actor
        self._before = before
        self._by_resource = any(grant.resource_id for grant in before)
        self._refusals: dict[tuple[Any, ...], Denied] = {}
        self._granters: dict[tuple[str, str], list[str]] = {}
        self.others: dict[tuple[UUID, str], list[Grant]] = {}

    def know(self, needs: Iterable[Need]) -> None:
        """Load what speaks for the other principals that these needs ask about; a few queries for each action."""
        asked: dict[str, set[UUID]] = {}
        for need in needs:
            if need.principal_id is not None and (need.principal_id, need.action) not in self.others:
                asked.setdefault(need.action, set()).add(need.principal_id)
        for action, principals in asked.items():
            found = grants_by_member(principals, action)
            self.others |= {(principal, action): found.get(principal, []) for principal in principals}

    def meet(self, need: Need) -> None:
        """Raise `Denied` when a further right is lacking."""
        target = need.target
        if need.principal_id is None:
            decision = _judged(self._actor, self._before, need.action, target)
        else:
            self.know([need])
            speaking = self.others[need.principal_id, need.action]
            decision = decide(speaking, need.action, target.ou_path, target.id)
        if not decision.allowed:
            raise self.refusal(need.action, target, decision, need.principal_id)

    def refusal(self, action: str, target: Target, decision: Decision, principal_id: UUID | None = None) -> Denied:
        """Return the refusal, as the module's own function makes it."""
        key = (action, target.ou_path, principal_id, target.id if self._by_resource else None)
        if key not in self._refusals:
            place = (action, target.ou_path)
            if place not in self._granters:
                self._granters[place] = who_can_grant([action], target.ou_path, target.organization_id)
            self._refusals[key] = refusal(
                self._actor,
                action,
                target,
                decision,
                self._before,
                principal_id=principal_id,
                granters=self._granters[place],
            )
        return self._refusals[key]


def refusal(
    actor: Actor,
    action: str,
    target: Target,
    decision: Decision,
    known: Sequence[Grant] | None = None,
    *,
    principal_id: UUID | None = None,
    granters: Sequence[str] | None = None,
) -> Denied:
    """Return the refusal whole: with who can grant the right, and the explanation. A few queries.

    `known` are the actor's grants and `granters` who can grant the right, if they are loaded; `principal_id` is whose
    right it is, if not the actor's.
    """
    if granters is None:
        granters = who_can_grant([action], target.ou_path, target.organization_id)
    if principal_id is not None:
        why = facts.refused_for_another(action, target, granters)
    else:
        why = facts.refused(actor, action, target, decision, grants(actor, [action]) if known is None else known)
    return denied(action, target, decision, principal_id=principal_id, granters=granters, explain=why)


def denied(
    action: str,
    target: Target,
    decision: Decision,
    *,
    principal_id: UUID | None = None,
    granters: Sequence[str] = (),
    explain: Explanation | None = None,
) -> Denied:
    """Return the refusal that names permission, place, who lacks it, what decided and who can grant it. No query.

    What speaks for another principal is a rule that the actor may not see, so it is not told from having no rule.
    """
    place = shown(target.ou_path)
    because = decision.because if principal_id is None else None
    who = "You need" if principal_id is None else "The agent's principal needs"
    why = f"{because.role} is denied there" if because else "nothing on the path allows it"
    if decision is NARROWED:
        why = decision.reason
    return Denied(
        f"insufficient permissions. {who} {action} on {place}: {why}. "
        f"Ask {' or '.join(granters) or 'an OrgAdmin'} to grant a binding.",
        permission=action,
        ou_path=place,
        because=because.as_json() if because else None,
        can_grant=list(granters),
        explain=explain,
    )


def _is_own(case: Case) -> bool:
    """A thing of the actor's own needs no binding; a narrowed token still does not reach it."""
    is_own = case.subject.own and case.command.action in OWN_ACTIONS
    return is_own and not narrowed(case.actor, case.command.action, case.target.ou_path)


def _system(action: str) -> dict[str, Any]:
    if action not in SYSTEM_ACTIONS:
        raise Denied(f"{action} cannot be done by the system itself.", permission=action)
    return {"outcome": "allowed", "because": "system"}


def _as_entry(decision: Decision) -> dict[str, Any]:
    because = decision.because.as_json() if decision.because else "own"
    return {"outcome": "allowed", "because": because}


def _bindings(principal_id: UUID | None, organization_id: UUID | None) -> QuerySet[Binding]:
    return _live().filter(Q(organization_id=organization_id), principal__spoken_by__member_id=principal_id)


def _about(rows: QuerySet[Binding], action: str) -> QuerySet[Binding]:
    naming = RoleAction.objects.filter(role_id=OuterRef("role_id"), action=action)
    return rows.filter(Q(role_id__in=builtins_allowing(action)) | Q(Exists(naming)))


def _live(moment: Now | None = None) -> QuerySet[Binding]:
    unexpired = Q(expires_at__isnull=True) | Q(expires_at__gt=moment or timezone.now())
    return Binding.objects.filter(unexpired, ended_at__isnull=True)


def _loaded(rows: QuerySet[Binding]) -> list[Grant]:
    return [grant for _, grant in _pairs(rows)]


def _loaded_about(rows: QuerySet[Binding], actions: Sequence[str]) -> list[Grant]:
    """Load those whose role names one of the actions. What a custom role names is known only when it is loaded: there
    are few, and asking the database for it as well costs more than all the rest.
    """
    builtins = {role for action in actions for role in builtins_allowing(action)}
    found = _loaded(rows.filter(Q(role_id__in=builtins) | Q(role__organization_id__isnull=False)))
    return [grant for grant in found if not grant.actions.isdisjoint(actions)]


def _pairs(rows: QuerySet[Binding]) -> list[tuple[Binding, Grant]]:
    found = list(rows.select_related("role", "scope_ou", "principal"))
    custom = {row.role_id for row in found if row.role.organization_id}
    of_custom: dict[UUID, set[str]] = {role_id: set() for role_id in custom}
    if custom:
        for role_id, action in RoleAction.objects.filter(role_id__in=custom).values_list("role_id", "action"):
            of_custom[role_id].add(action)
    return [(row, grant_of(row, _actions_of(row.role, of_custom))) for row in found]


def _actions_of(role: Role, of_custom: Mapping[UUID, set[str]]) -> frozenset[str]:
    return frozenset(of_custom[role.id]) if role.organization_id else builtin_actions(role.name)


def grant_of(row: Binding, actions: frozenset[str]) -> Grant:
    """Return a binding as the law reads it, with its role's actions; principal, role and scope are loaded."""
    return Grant(
        binding_id=row.id,
        allows=row.decision_type == DecisionType.ALLOW,
        role_id=row.role_id,
        role=row.role.name,
        principal_ref=row.principal.ref,
        scope_path=row.scope_ou.path,
        resource_id=row.resource_id,
        actions=actions,
        expires_at=row.expires_at,
    )
