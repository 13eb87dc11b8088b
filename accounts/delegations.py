"""Delegated tokens: JWTs of five minutes, each for one tool of one session, which the API takes as its user's own.

    sub   the user who started the session      aud   powerloom-tool:<tool>
    act   the agent that asks                   tool  the tool's name, again
    sid   the session                           org   the organization

The audience is what bounds them: every door takes `powerloom-api` alone, but for the routes of that one tool. Whether
session, user and rights still are what they were is asked at each use (`sessions.delegations`).

The key is the web processes' own. The fleet, which trades bearers for these, neither imports this nor needs the key.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any  # claims and narrowings are JSON
from uuid import UUID

import jwt
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from accounts.models import Delegation, User
from accounts.tokens import ALGORITHM, ISSUER, password_mark
from powerloom.kernel.keys import derived_key
from powerloom.kernel.refs import Actor, Narrowing

LIFETIME = timedelta(minutes=5)
AUDIENCE = "powerloom-tool:"
TYPE = "delegated+jwt"
REQUIRED = ("exp", "iat", "sub", "act", "sid", "org", "jti", "tool")


@dataclass(frozen=True)
class Claims:
    """What a good token says."""

    user_id: UUID
    agent_id: UUID
    session_id: UUID
    organization_id: UUID
    tool: str


def token_of(delegation: Delegation, *, tool: str) -> str:
    """Return a fresh token for one tool of the delegation's session."""
    now = timezone.now()
    claims = {
        "iss": ISSUER,
        "aud": f"{AUDIENCE}{tool}",
        "sub": str(delegation.user_id),
        "act": {"sub": str(delegation.agent_id)},
        "sid": str(delegation.session_id),
        "org": str(delegation.organization_id),
        "tool": tool,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": secrets.token_urlsafe(12),
    }
    return jwt.encode(claims, _key(), algorithm=ALGORITHM, headers={"typ": TYPE})


def read(token: str, *, tools: Iterable[str]) -> Claims | None:
    """Return what a token says that is for one of these tools, whole, of ours and not older than five minutes."""
    audiences = [f"{AUDIENCE}{tool}" for tool in tools]
    if not audiences:
        return None
    try:
        if jwt.get_unverified_header(token).get("typ") != TYPE:
            return None
        said = jwt.decode(
            token,
            _key(),
            algorithms=[ALGORITHM],
            audience=audiences,
            issuer=ISSUER,
            options={"require": list(REQUIRED)},
        )
        return _claims(said)
    except (jwt.InvalidTokenError, ValueError, TypeError, KeyError):
        return None


def delegation_of(claims: Claims) -> Delegation | None:
    """Return the delegation that the token is of: all that it says must be that one's."""
    return Delegation.objects.filter(
        session_id=claims.session_id,
        user_id=claims.user_id,
        agent_id=claims.agent_id,
        organization_id=claims.organization_id,
    ).first()


def delegate(session_id: UUID, agent_id: UUID, actor: Actor) -> Delegation:
    """Let a new session act for the person who starts it, with all that narrows what he came with.

    Who comes by neither token nor sign-in, as what was held is replayed, is tied to the password that he has now.
    """
    assert actor.organization_id is not None, "only members invoke"
    assert actor.id is not None, "only people are acted for"
    return Delegation.objects.create(
        organization_id=actor.organization_id,
        user_id=actor.id,
        user_ref=actor.ref,
        agent_id=agent_id,
        session_id=session_id,
        token_id=actor.token_id,
        password_mark=actor.password_mark or _present_mark(actor),
        narrowing=asdict(actor.narrowing) if actor.narrowing else None,
    )


def actor_of(delegation: Delegation, *, request_id: str = "", address: str = "") -> Actor:
    """Return the user as the session acts for him. Whether that is still good is not asked here."""
    return Actor(
        kind="user",
        id=delegation.user_id,
        principal_id=delegation.user_id,
        organization_id=delegation.organization_id,
        ref=delegation.user_ref,
        token_id=delegation.token_id,
        password_mark=delegation.password_mark,
        narrowing=_narrowing(delegation.narrowing),
        delegated_from_session=delegation.session_id,
        request_id=request_id,
        address=address,
    )


def _present_mark(actor: Actor) -> str:
    return password_mark(User.objects.get(Q(pk=actor.id))) if actor.token_id is None else ""


def _claims(said: dict[str, Any]) -> Claims:
    claims = Claims(
        UUID(said["sub"]), UUID(said["act"]["sub"]), UUID(said["sid"]), UUID(said["org"]), str(said["tool"])
    )
    if said["aud"] != f"{AUDIENCE}{claims.tool}":
        raise ValueError("the audience is another tool's")
    return claims


def _narrowing(kept: dict[str, Any] | None) -> Narrowing | None:
    if kept is None:
        return None
    return Narrowing(None if kept["actions"] is None else tuple(kept["actions"]), kept["ou_path"])


def _key() -> bytes:
    return hmac.digest(derived_key("delegated_jwt"), settings.DELEGATION_KEY.encode(), "sha256")
