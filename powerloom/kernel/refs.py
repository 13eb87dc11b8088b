"""Frozen values that cross app borders: who acts, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID


@dataclass(frozen=True)
class Narrowing:
    """What a token was narrowed to: only these actions, only at or below this OU. None means not narrowed."""

    actions: tuple[str, ...] | None = None
    ou_path: str | None = None


@dataclass(frozen=True)
class Actor:
    """Who asks, resolved once at the edge and passed on explicitly.

    `principal_id` is the principal whose bindings count: the user itself, a service agent itself, or for an agent of
    kind `user` its owner. `ref` is text for the audit (`user:a@b`, `agent:/acme/x`, `system:reconciler`).
    `password_mark` names the password that a person signed in under, so that what outlives the request ends with it.
    `justification` is what the request says for itself, should a policy ask.
    """

    kind: Literal["user", "agent", "system"]
    id: UUID | None
    principal_id: UUID | None
    organization_id: UUID | None
    ref: str
    token_id: UUID | None = None
    password_mark: str = ""
    narrowing: Narrowing | None = None
    delegated_from_session: UUID | None = None
    request_id: str = ""
    address: str = ""
    justification: str = ""

    @staticmethod
    def system(name: str, *, organization_id: UUID | None = None) -> Actor:
        """Return the actor of a management command or a scheduled task (`system:<name>`)."""
        return Actor(kind="system", id=None, principal_id=None, organization_id=organization_id, ref=f"system:{name}")


@dataclass(frozen=True)
class Target:
    """What a command acts on, as the audit and the policies see it. `ou_path` ends in `/`."""

    kind: str
    id: UUID
    name: str
    organization_id: UUID | None
    ou_path: str
