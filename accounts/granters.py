"""Who could help somebody who was refused: the principals that may bind roles at a place and hold there what is asked.

Whoever gives a right must hold it (`accounts.escalation`), so holding `role_binding:create` alone is not enough.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from accounts.actions import Action
from accounts.models import Binding, DecisionType, Role
from accounts.roles import ROLES, builtin_actions, builtin_id

MOST_NAMED = 3


def who_can_grant(actions: Collection[str], ou_path: str, organization_id: UUID | None) -> list[str]:
    """Return some principals that can bind a role of these actions at the OU, the nearest first; one query."""
    return _named(Action.ROLE_BINDING_CREATE, actions, ou_path, organization_id)


class Granters:
    """Who can grant what, each asked once: for sets of which many are refused for the same."""

    def __init__(self, organization_id: UUID | None) -> None:
        self._organization_id = organization_id
        self._known: dict[tuple[frozenset[str], str], list[str]] = {}

    def of(self, actions: frozenset[str], ou_path: str) -> list[str]:
        """As `who_can_grant`."""
        if (actions, ou_path) not in self._known:
            self._known[actions, ou_path] = who_can_grant(actions, ou_path, self._organization_id)
        return self._known[actions, ou_path]


def who_can_end(actions: Collection[str], ou_path: str, organization_id: UUID | None, *, but: UUID) -> list[str]:
    """Return some principals that can end a deny of these actions at the OU: none whom that deny itself names."""
    return _named(Action.ROLE_BINDING_DELETE, actions, ou_path, organization_id, but=but)


def who_may(action: str, ou_path: str, organization_id: UUID | None) -> list[str]:
    """Return some principals that a built-in role lets do this at the OU, the nearest first; one query."""
    return _named(action, (), ou_path, organization_id)


def smallest_role(action: str, organization_id: UUID | None) -> tuple[Role, frozenset[str]]:
    """Return the role with the fewest actions that has this one, and its actions; OrgAdmin has them all, so there is
    always one. Two queries.
    """
    known = Role.objects.filter(Q(organization__isnull=True) | Q(organization_id=organization_id))
    sized = [
        (role, actions_of(role)) for role in known.filter(archived_at__isnull=True).prefetch_related("role_actions")
    ]
    fitting = [(role, actions) for role, actions in sized if action in actions]
    return min(fitting, key=lambda found: (len(found[1]), found[0].name))


def actions_of(role: Role) -> frozenset[str]:
    """Return the actions of any role; of a custom one by a query, unless they are loaded."""
    if role.organization_id is None:
        return builtin_actions(role.name)
    return frozenset(entry.action for entry in role.role_actions.all())


def _named(
    by: str, actions: Collection[str], ou_path: str, organization_id: UUID | None, *, but: UUID | None = None
) -> list[str]:
    enough = [builtin_id(name) for name in ROLES if {by, *actions} <= builtin_actions(name)]
    deciding = [builtin_id(name) for name in ROLES if by in builtin_actions(name)]
    rows = list(
        Binding.objects.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now()),
            Q(organization_id=organization_id),
            scope_ou__path__in=_above(ou_path),
            role_id__in=deciding,
            resource_id__isnull=True,
            ended_at__isnull=True,
        )
        .exclude(Q(pk=but))
        .select_related("principal", "scope_ou")
    )
    denied = {row.principal_id for row in rows if row.decision_type == DecisionType.DENY}
    able = [row for row in rows if row.role_id in enough and row.principal_id not in denied]
    return _nearest_first(able)


def _above(ou_path: str) -> list[str]:
    """Return the path and every one above it; the OU itself may be one that somebody is about to make."""
    parts = ou_path.strip("/").split("/")
    return [f"/{'/'.join(parts[:count])}/" for count in range(1, len(parts) + 1)]


def _nearest_first(rows: Iterable[Binding]) -> list[str]:
    ordered = sorted(rows, key=lambda row: (-len(row.scope_ou.path), row.principal.ref))
    return list(dict.fromkeys(row.principal.ref for row in ordered))[:MOST_NAMED]
