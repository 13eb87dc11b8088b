"""The ten built-in roles: the role × action table of the law, in code.

An entry is an action (`agent:invoke`) or all actions of a noun (`agent:*`). The table is expanded against the known
actions once; the docs print it and the permission matrix test is driven by it. Custom roles name actions one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from uuid import NAMESPACE_URL, UUID, uuid5

from django.conf import settings
from django.utils.module_loading import import_string

ORG_ADMIN = "OrgAdmin"
AUDITOR = "Auditor"

# Kept from everyone but the OrgAdmin of the root OU, whatever `noun:*` a role names.
RESERVED = frozenset({"agent:delegate", "agent:assign_owner", "approval_policy:switch_off", "credential:reveal"})

ROLES: Mapping[str, tuple[str, ...]] = {
    ORG_ADMIN: ("*",),
    "OUAdmin": (
        "ou:*",
        "user:*",
        "group:*",
        "role_binding:*",
        "access:explain",
        "token:*",
        "agent:*",
        "skill:*",
        "mcp_server:*",
        "mcp_deployment:*",
        "credential:*",
        "secret:*",
        "session:*",
        "tool_call:confirm",
        "approval:read",
        "approval_policy:*",
        "manifest_set:*",
    ),
    "GroupAdmin": ("group:*",),
    "AgentOwner": (
        "agent:*",
        "session:*",
        "tool_call:confirm",
        "skill:read",
        "skill:use",
        "mcp_server:read",
        "mcp_server:use",
        "mcp_deployment:read",
        "credential:*",
        "secret:read",
    ),
    "AgentOperator": (
        "agent:read",
        "agent:invoke",
        "agent:reset_sync",
        "skill:read",
        "mcp_server:read",
        "credential:read",
        "session:read",
        "session:message",
        "session:confirm",
        "session:interrupt",
        "session:close",
        "session:rename",
    ),
    "AgentViewer": ("agent:read", "skill:read", "mcp_server:read", "session:read"),
    "SkillOwner": ("skill:*",),
    "SkillUser": ("skill:read", "skill:use"),
    AUDITOR: (
        "audit:*",
        "agent:read",
        "skill:read",
        "mcp_server:read",
        "mcp_deployment:read",
        "credential:read",
        "session:read",
        "secret:read",
        "role_binding:read",
        "egress_rule:read",
        "approval:read",
        "approval_policy:read",
        "webhook:read",
    ),
    "Approver": (
        "approval:*",
        "approval_policy:read",
        "tool_call:confirm",
        "agent:read",
        "skill:read",
        "mcp_server:read",
        "mcp_deployment:read",
        "credential:read",
        "session:read",
        "role_binding:read",
        "secret:read",
    ),
}

_NAMESPACE = uuid5(NAMESPACE_URL, "powerloom:builtin-role")


def builtin_id(name: str) -> UUID:
    """Return the fixed id of a built-in role, the same in every installation."""
    return uuid5(_NAMESPACE, name)


@cache
def known_actions() -> frozenset[str]:
    """Return every action of the product, from the enums that `settings.ACTIONS` names."""
    return frozenset(str(action) for name in settings.ACTIONS for action in import_string(name))


@cache
def builtin_actions(name: str) -> frozenset[str]:
    """Return the actions of a built-in role (KeyError when there is no such role)."""
    return frozenset(expand(ROLES[name], every=name == ORG_ADMIN))


@cache
def builtins_allowing(action: str) -> tuple[UUID, ...]:
    """Return the ids of the built-in roles that name the action."""
    return tuple(builtin_id(name) for name in ROLES if action in builtin_actions(name))


def as_table() -> str:
    """Return the table as Markdown, for the docs: what it says is what is asked."""
    lines = [f"| {name} | {'all actions' if name == ORG_ADMIN else _entries(name)} |" for name in ROLES]
    return "\n".join(["| role | actions |", "|---|---|", *lines])


def _entries(name: str) -> str:
    return ", ".join(f"`{entry}`" for entry in ROLES[name])


def expand(entries: Iterable[str], *, every: bool = False) -> set[str]:
    """Return the actions that the entries name; reserved ones only when named one by one, or for `every`."""
    entries = set(entries)
    nouns = {entry.removesuffix("*") for entry in entries if entry.endswith(":*")}
    return {
        action
        for action in known_actions()
        if every or action in entries or (action not in RESERVED and action[: action.index(":") + 1] in nouns)
    }
