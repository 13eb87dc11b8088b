"""What can be done to who is who and who may do what, by noun. Importing this registers every handler."""

from accounts.commands import (
    bindings,
    egress,
    groups,
    operators,
    organizations,
    ous,
    passwords,
    roles,
    secrets,
    tokens,
    users,
)

__all__ = [
    "bindings",
    "egress",
    "groups",
    "operators",
    "organizations",
    "ous",
    "passwords",
    "roles",
    "secrets",
    "tokens",
    "users",
]
