"""The law of access, pure: what loaded grants say about one question.

    A deny anywhere on the path wins; else an allow anywhere on the path; else no.

A token can only take away from that. `accounts.rbac` loads the grants and asks the same in SQL.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any  # JSON
from uuid import UUID

from powerloom.kernel.refs import Actor

# A long-lived token has these only when they are named in it.
ONLY_BY_NAME = frozenset({"approval:decide", "credential:reveal"})


@dataclass(frozen=True)
class Grant:
    """One live binding that speaks for the actor, with all that a person needs to understand it."""

    binding_id: UUID
    allows: bool
    role_id: UUID
    role: str
    principal_ref: str
    scope_path: str
    resource_id: UUID | None
    actions: frozenset[str]
    expires_at: datetime | None

    def covers(self, action: str, ou_path: str, resource_id: UUID | None) -> bool:
        """Tell whether this binding speaks about the action at the place."""
        if action not in self.actions or not ou_path.startswith(self.scope_path):
            return False
        return self.resource_id is None or self.resource_id == resource_id

    def as_json(self) -> dict[str, Any]:
        return {
            "binding_id": str(self.binding_id),
            "decision_type": "allow" if self.allows else "deny",
            "role": self.role,
            "principal_ref": self.principal_ref,
            "scope_ou_path": shown(self.scope_path),
        }


def is_root(path: str) -> bool:
    """Tell whether this is the path of a root OU."""
    return path.strip("/").count("/") == 0


@dataclass(frozen=True)
class Decision:
    """The answer, and the binding that decided it (None: nothing allows it)."""

    allowed: bool
    because: Grant | None = None
    reason: str = ""


NARROWED = Decision(False, None, "this token is narrowed to other actions or another OU")


def shown(path: str) -> str:
    """Return an OU path as people write it, without the closing slash."""
    return path.rstrip("/") or "/"


def decide(grants: Iterable[Grant], action: str, ou_path: str, resource_id: UUID | None = None) -> Decision:
    """Apply the law to loaded grants. Pure."""
    speaking = [grant for grant in grants if grant.covers(action, ou_path, resource_id)]
    for grant in speaking:
        if not grant.allows:
            return Decision(False, grant, "a deny on the path")
    if speaking:
        return Decision(True, speaking[0], "an allow on the path")
    return Decision(False, None, "nothing on the path allows it")


def narrowed(actor: Actor, action: str, ou_path: str) -> bool:
    """Tell whether the actor's token is too narrow for the action at the place."""
    narrowing = actor.narrowing
    if withheld(actor, action):
        return True
    if narrowing is None:
        return False
    outside = narrowing.ou_path is not None and not ou_path.startswith(narrowing.ou_path)
    return outside or (narrowing.actions is not None and action not in narrowing.actions)


def withheld(actor: Actor, action: str) -> bool:
    """Tell whether the action is one that a long-lived token carries only by name, and the actor's does not."""
    if action not in ONLY_BY_NAME or actor.token_id is None:
        return False
    return actor.narrowing is None or actor.narrowing.actions is None
