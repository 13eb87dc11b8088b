"""Accounts as JSON, in the words of the wire. Every function takes loaded rows and asks no further query a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accounts import queries
from accounts.models import OU, Binding, Group, Role, User
from accounts.rbac import shown
from accounts.roles import builtin_actions
from powerloom.kernel.refs import Actor


def ous(rows: Sequence[OU]) -> list[dict[str, Any]]:
    return [_ou(row) for row in rows]


def ou(row: OU, actor: Actor) -> dict[str, Any]:
    return _ou(row)


def _ou(row: OU) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "name": row.name,
        "display_name": row.display_name,
        "path": shown(row.path),
        "parent_id": str(row.parent_id) if row.parent_id else None,
        "principal_id": str(row.id),
        "created_at": row.created_at.isoformat(),
    }


def users(rows: Sequence[User]) -> list[dict[str, Any]]:
    return [_user(row) for row in rows]


def user(row: User, actor: Actor) -> dict[str, Any]:
    return _user(row)


def _user(row: User) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "principal_id": str(row.id),
        "email": row.email,
        "name": row.name,
        "home_ou_id": str(row.home_ou_id) if row.home_ou_id else None,
        "home_ou_path": shown(row.home_ou.path) if row.home_ou else None,
        "is_active": row.is_active,
        "created_at": row.created_at.isoformat(),
    }


def groups(rows: Sequence[Group]) -> list[dict[str, Any]]:
    return [_group(row) for row in rows]


def group(row: Group, actor: Actor) -> dict[str, Any]:
    """The detail of a group carries its direct members, users and groups in one list."""
    members = [
        {"principal_id": str(found.member_id), "kind": found.member.kind, "ref": found.member.ref}
        for found in queries.members_of(row).order_by("member__ref")
    ]
    return {**_group(row), "members": members}


def _group(row: Group) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "principal_id": str(row.id),
        "name": row.name,
        "display_name": row.display_name,
        "description": row.description,
        "ou_id": str(row.ou_id),
        "ou_path": shown(row.ou.path),
        "created_at": row.created_at.isoformat(),
    }


def roles(rows: Sequence[Role]) -> list[dict[str, Any]]:
    return [_role(row) for row in rows]


def role(row: Role, actor: Actor) -> dict[str, Any]:
    return _role(row)


def _role(row: Role) -> dict[str, Any]:
    is_builtin = row.organization_id is None
    actions = builtin_actions(row.name) if is_builtin else {found.action for found in row.role_actions.all()}
    return {
        "id": str(row.id),
        "name": row.name,
        "description": row.description,
        "is_builtin": is_builtin,
        "actions": sorted(actions),
    }


def bindings(rows: Sequence[Binding]) -> list[dict[str, Any]]:
    return [_binding(row) for row in rows]


def binding(row: Binding, actor: Actor) -> dict[str, Any]:
    return _binding(row)


def _binding(row: Binding) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "principal_id": str(row.principal_id),
        "principal_ref": row.principal.ref,
        "role_id": str(row.role_id),
        "role": row.role.name,
        "scope_ou_id": str(row.scope_ou_id),
        "scope_ou_path": shown(row.scope_ou.path),
        "decision_type": row.decision_type,
        "resource_id": str(row.resource_id) if row.resource_id else None,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
        "created_at": row.created_at.isoformat(),
    }
