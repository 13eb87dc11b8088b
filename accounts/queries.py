"""Reads of accounts. Every member may read the directory (OUs, users, groups, roles) of its own organization.

Nothing crosses it.

Whatever an actor may not see is `NotFound`, in the same words as what does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar  # Any: tree nodes are JSON
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, F, Model, OuterRef, Q, QuerySet
from django.db.models.functions import Length
from django.utils.module_loading import import_string

from accounts import rbac
from accounts.actions import Action
from accounts.models import (
    OU,
    AccessToken,
    Binding,
    EgressRule,
    Group,
    Membership,
    Organization,
    Principal,
    PrincipalClosure,
    PrincipalKind,
    Role,
    RoleAction,
    Secret,
    User,
)
from accounts.principals import home_path
from powerloom.kernel.errors import NotFound
from powerloom.kernel.refs import Actor

M = TypeVar("M", bound=Model)


def organization_of(actor: Actor) -> Organization:
    """Return the actor's organization. Raises `NotFound` for who has none."""
    return _one(Organization.objects.filter(Q(pk=actor.organization_id)))


def ous_visible_to(actor: Actor) -> QuerySet[OU]:
    """Return the live OUs of the organization."""
    return OU.objects.filter(Q(organization_id=actor.organization_id), archived_at__isnull=True)


def ous_permitting(actor: Actor, action: str) -> QuerySet[OU]:
    """Return the live OUs where the actor may do this, by path: the places that a form offers."""
    return ous_visible_to(actor).filter(rbac.permitted(actor, action, ou_field="pk")).order_by("path")


def ou_for(actor: Actor, ou_id: UUID) -> OU:
    """Return a live OU. Raises `NotFound`."""
    return _one(ous_visible_to(actor).filter(pk=ou_id))


def ous_for(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, OU]:
    """Return those of the OUs that live, by id; one query."""
    return {ou.id: ou for ou in ous_visible_to(actor).filter(pk__in=set(ids))}


def ous_for_change(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, OU]:
    """As `ous_for`, locked in the order of their ids."""
    rows = ous_visible_to(actor).filter(pk__in=set(ids)).order_by("pk").select_for_update()
    return {ou.id: ou for ou in rows}


def ou_at(actor: Actor, path: str) -> OU:
    """Return the live OU at a path as people write it. Raises `NotFound`."""
    return _one(ous_visible_to(actor).filter(path=f"{path.rstrip('/')}/"))


def ou_named(actor: Actor, name: str) -> OU:
    """Return the live OU of this id or path. Raises `NotFound`."""
    try:
        return ou_for(actor, UUID(name))
    except ValueError:
        return ou_at(actor, name)


def root_of(actor: Actor) -> OU:
    """Return the root OU of the actor's organization."""
    return _one(ous_visible_to(actor).filter(parent__isnull=True))


def ou_tree(actor: Actor) -> list[dict[str, Any]]:
    """Return the tree as nested nodes, each level sorted by name; one query."""
    rows = list(ous_visible_to(actor).order_by("name"))
    nodes: dict[UUID, dict[str, Any]] = {row.id: _node(row) for row in rows}
    roots: list[dict[str, Any]] = []
    for row in rows:
        siblings = nodes[row.parent_id]["children"] if row.parent_id in nodes else roots
        siblings.append(nodes[row.id])
    return roots


def users_visible_to(actor: Actor) -> QuerySet[User]:
    """Return the users of the organization, disabled ones too, with their home OU."""
    return User.objects.filter(Q(organization_id=actor.organization_id)).select_related("home_ou")


def user_for(actor: Actor, user_id: UUID) -> User:
    """Return a user. Raises `NotFound`."""
    return _one(users_visible_to(actor).filter(pk=user_id))


def user_for_change(actor: Actor, user_id: UUID) -> User:
    """As `user_for`, locked until the end of the transaction."""
    return _one(users_visible_to(actor).filter(pk=user_id).select_for_update(of=("self",)))


def myself(actor: Actor) -> User | None:
    """Return the user who acts, or None when an agent does."""
    return users_visible_to(actor).filter(Q(pk=actor.id)).first()


def groups_visible_to(actor: Actor) -> QuerySet[Group]:
    """Return the live groups of the organization, with their OU."""
    return Group.objects.filter(Q(organization_id=actor.organization_id), archived_at__isnull=True).select_related("ou")


def group_for(actor: Actor, group_id: UUID) -> Group:
    """Return a live group. Raises `NotFound`."""
    return _one(groups_visible_to(actor).filter(pk=group_id))


def groups_for(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, Group]:
    """Return those of the groups that live, by id; one query."""
    return {group.id: group for group in groups_visible_to(actor).filter(pk__in=set(ids))}


def groups_for_change(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, Group]:
    """Return those of the groups that live, by id, locked in the order of their ids."""
    rows = groups_visible_to(actor).filter(pk__in=set(ids)).order_by("pk").select_for_update(of=("self",))
    return {group.id: group for group in rows}


def members_of(group: Group) -> QuerySet[Membership]:
    """Return the direct members of a group, with their principals."""
    return Membership.objects.filter(group=group).select_related("member")


def principal_for(actor: Actor, principal_id: UUID | None) -> Principal:
    """Return a user, disabled or not, or a live group, agent or OU of the organization. Raises `NotFound`."""
    return _one(_principals(actor).filter(Q(pk=principal_id)))


def principals_for(actor: Actor, ids: Iterable[UUID | None]) -> dict[UUID, Principal]:
    """As `principal_for`, for many at once, by id; whoever is not there is absent. One query."""
    return {principal.id: principal for principal in _principals(actor).filter(pk__in={id_ for id_ in ids if id_})}


def _principals(actor: Actor) -> QuerySet[Principal]:
    speaks = PrincipalClosure.objects.filter(member_id=OuterRef("pk"), principal_id=OuterRef("pk"))
    known = Q(kind=PrincipalKind.USER) | Q(Exists(speaks))
    return Principal.objects.filter(Q(organization_id=actor.organization_id), known)


def principal_named(actor: Actor, name: str) -> Principal:
    """As `principal_for`, by id or by a reference that the actor may know; a bare e-mail address names a user. Raises
    `NotFound`.
    """
    try:
        return principal_for(actor, UUID(name))
    except ValueError:
        ref = f"user:{name.lower()}" if "@" in name and ":" not in name else name
    return _one(principals_visible_to(actor).filter(ref=ref))


def named_in_directory(actor: Actor) -> QuerySet[Principal]:
    """Return the principals that every member may know: enabled users and live groups, by reference."""
    speaks = PrincipalClosure.objects.filter(member_id=OuterRef("pk"), principal_id=OuterRef("pk"))
    known = Principal.objects.filter(Q(Exists(speaks)), Q(organization_id=actor.organization_id))
    return known.filter(kind__in=[PrincipalKind.USER, PrincipalKind.GROUP]).order_by("ref")


def principals_visible_to(actor: Actor, *kinds: str) -> QuerySet[Principal]:
    """Return the users, live groups and OUs of the organization and the agents that the actor may read, or those of
    these kinds, by their names.
    """
    rows = _principals(actor)
    for kind, name in settings.NAMED_BY_RIGHT.items():
        rows = rows.filter(~Q(kind=kind) | Q(pk__in=import_string(name)(actor).values("pk")))
    return (rows.filter(kind__in=kinds) if kinds else rows).order_by("ref")


def roles_visible_to(actor: Actor) -> QuerySet[Role]:
    """Return the built-in roles and the live custom roles of the organization."""
    known = Q(organization__isnull=True) | Q(organization_id=actor.organization_id)
    return Role.objects.filter(known, archived_at__isnull=True).prefetch_related("role_actions")


def role_for(actor: Actor, role_id: UUID) -> Role:
    """Return a role. Raises `NotFound`."""
    return _one(roles_visible_to(actor).filter(pk=role_id))


def role_named(actor: Actor, name: str) -> Role:
    """Return a role by its name. Raises `NotFound`."""
    return _one(roles_visible_to(actor).filter(name=name))


def roles_for(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, Role]:
    """Return those of the roles that are there, by id; two queries."""
    return {role.id: role for role in roles_visible_to(actor).filter(pk__in=set(ids))}


def contents_of(*named: Principal | Role) -> list[Model]:
    """Return what these are besides their rows: a role's actions, a group's members."""
    found = contents_of_many(named)
    return [row for one in named for row in found[one.id]]


def contents_of_many(named: Iterable[Principal | Role]) -> dict[UUID, list[Model]]:
    """As `contents_of`, for each of many by its id; a query each for roles and groups."""
    known = {one.id: one for one in named}
    roles = [one.id for one in known.values() if isinstance(one, Role)]
    groups = [one.id for one in known.values() if isinstance(one, Principal) and one.kind == PrincipalKind.GROUP]
    found: dict[UUID, list[Model]] = {id_: [] for id_ in known}
    for entry in RoleAction.objects.filter(role__in=roles) if roles else ():
        found[entry.role_id].append(entry)
    for membership in Membership.objects.filter(group__in=groups) if groups else ():
        found[membership.group_id].append(membership)
    return found


def bindings_visible_to(actor: Actor) -> QuerySet[Binding]:
    """Return the live bindings that the actor may read: by right at their scope, and those that name it."""
    law = rbac.permitted(actor, Action.ROLE_BINDING_READ, ou_field="scope_ou_id")
    rows = Binding.objects.filter(law | Q(principal_id=actor.principal_id), Q(organization_id=actor.organization_id))
    return rows.filter(ended_at__isnull=True).select_related("role", "principal", "scope_ou")


def binding_for(actor: Actor, binding_id: UUID) -> Binding:
    """Return a live binding. Raises `NotFound`."""
    return _one(bindings_visible_to(actor).filter(pk=binding_id))


def bindings_for_change(actor: Actor, ids: Iterable[UUID]) -> dict[UUID, Binding]:
    """As `binding_for`, for many at once, by id, locked in the order of their ids, with what their roles allow."""
    rows = bindings_visible_to(actor).filter(pk__in=set(ids)).order_by("pk").select_for_update(of=("self",))
    return {binding.id: binding for binding in rows.prefetch_related("role__role_actions")}


def tokens_of(actor: Actor, principal_id: UUID) -> QuerySet[AccessToken]:
    """Return a principal's long-lived tokens, revoked ones too: one's own, or with `token:read` where it is at home.

    Raises `NotFound`.
    """
    principal = principal_for(actor, principal_id)
    if principal.id != actor.id and not rbac.may(actor, Action.TOKEN_READ, home_path(principal)).allowed:
        raise NotFound
    return AccessToken.objects.filter(principal=principal).select_related("ou", "principal")


def token_for(actor: Actor, principal_id: UUID, token_id: UUID) -> AccessToken:
    """Return one of these tokens. Raises `NotFound`."""
    return _one(tokens_of(actor, principal_id).filter(pk=token_id))


def token_for_change(actor: Actor, principal_id: UUID, token_id: UUID) -> AccessToken:
    """As `token_for`, locked until the end of the transaction."""
    return _one(tokens_of(actor, principal_id).filter(pk=token_id).select_for_update(of=("self",)))


def secrets_visible_to(actor: Actor) -> QuerySet[Secret]:
    """Return what may be known of the live secrets that the actor may read; never a value."""
    rows = Secret.objects.filter(Q(organization_id=actor.organization_id), archived_at__isnull=True)
    return rows.filter(rbac.permitted(actor, Action.SECRET_READ)).select_related("ou")


def secret_for(actor: Actor, secret_id: UUID) -> Secret:
    """Return a live secret. Raises `NotFound`."""
    return _one(secrets_visible_to(actor).filter(pk=secret_id))


def secret_for_change(actor: Actor, secret_id: UUID) -> Secret:
    """As `secret_for`, locked until the end of the transaction."""
    return _one(secrets_visible_to(actor).filter(pk=secret_id).select_for_update(of=("self",)))


def secrets_reaching(ou_id: UUID, names: Iterable[str]) -> dict[str, Secret]:
    """Return the live secret that each name means in an OU: its own, else that of the nearest OU above; one query.

    For what runs by itself, so nobody's rights are asked. An edge shows none that `secrets_visible_to` leaves out.
    """
    found = secrets_reaching_each((ou_id, name) for name in names)
    return {name: secret for (_, name), secret in found.items()}


def secrets_reaching_each(pairs: Iterable[tuple[UUID, str]]) -> dict[tuple[UUID, str], Secret]:
    """As `secrets_reaching`, for pairs of OU and name; one query, if any is asked for."""
    asked = set(pairs)
    if not asked:
        return {}
    known = Secret.objects.filter(name__in={name for _, name in asked}, archived_at__isnull=True)
    reaching = known.annotate(here=F("ou__below__descendant_id")).filter(here__in={ou for ou, _ in asked})
    # The OUs above one another are prefixes of one path, so a longer path is nearer.
    found = reaching.select_related("ou", "sealed").order_by(Length("ou__path"))
    return {(secret.here, secret.name): secret for secret in found}


def secrets_seen(actor: Actor, secrets: Iterable[Secret]) -> set[UUID]:
    """Return which of these secrets the actor may read, by id; one query, if there are any."""
    ids = {secret.pk for secret in secrets}
    return set(secrets_visible_to(actor).filter(pk__in=ids).values_list("pk", flat=True)) if ids else set()


def egress_rules_visible_to(actor: Actor) -> QuerySet[EgressRule]:
    """Return the live egress rules, to who may read them at the root; they are the whole organization's."""
    rows = EgressRule.objects.filter(Q(organization_id=actor.organization_id), archived_at__isnull=True)
    may = rbac.may(actor, Action.EGRESS_RULE_READ, root_of(actor).path).allowed
    return rows.select_related("organization") if may else rows.none()


def egress_rule_for(actor: Actor, rule_id: UUID) -> EgressRule:
    """Return a live egress rule. Raises `NotFound`."""
    return _one(egress_rules_visible_to(actor).filter(pk=rule_id))


def egress_rule_for_change(actor: Actor, rule_id: UUID) -> EgressRule:
    """As `egress_rule_for`, locked until the end of the transaction."""
    return _one(egress_rules_visible_to(actor).filter(pk=rule_id).select_for_update(of=("self",)))


def _node(row: OU) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "name": row.name,
        "display_name": row.display_name,
        "path": rbac.shown(row.path),
        "parent_id": str(row.parent_id) if row.parent_id else None,
        "children": [],
    }


def _one(rows: QuerySet[M]) -> M:
    row = rows.first()
    if row is None:
        raise NotFound
    return row
