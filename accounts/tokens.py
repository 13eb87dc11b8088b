"""Bearers: who a token stands for, asked anew at every request: a revoked right or a disabled user is gone at once.

Two kinds: access JWTs of a sign-in (one hour, HS256, type pinned), and long-lived tokens (`plm_…`) of which only a
keyed hash is kept. Either resolves to an `Actor`; nothing else in the product reads a token.
"""

from __future__ import annotations

import secrets
from datetime import timedelta
from uuid import UUID

import jwt
from django.db.models import Q
from django.utils import timezone

from accounts.models import AccessToken, Principal, PrincipalKind, User
from powerloom.kernel.keys import derived_key, keyed_hash
from powerloom.kernel.refs import Actor, Narrowing

PREFIX = "plm_"
SHOWN = 12  # characters of a token that lists show
SIGN_IN_LIFETIME = timedelta(hours=1)
ISSUER = "powerloom"
AUDIENCE = "powerloom-api"
ALGORITHM = "HS256"
TYPE = "at+jwt"  # RFC 9068
USED_AT_PRECISION = timedelta(minutes=1)


def authenticate(token: str, *, request_id: str, address: str) -> Actor | None:
    """Return who the bearer stands for now, or None when it stands for nobody any more."""
    if token.startswith(PREFIX):
        return _by_long_lived(token, request_id, address)
    return _by_sign_in(token, request_id, address)


def actor_of_user(user: User, *, request_id: str = "", address: str = "") -> Actor:
    """Return the actor of a signed-in person."""
    return Actor(
        kind="user",
        id=user.id,
        principal_id=user.id,
        organization_id=user.organization_id,
        ref=user.ref,
        password_mark=password_mark(user),
        request_id=request_id,
        address=address,
    )


def sign_in_token(user: User) -> str:
    """Return a fresh access JWT of the user. Its `pwd` claim ends it when the password changes."""
    now = timezone.now()
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user.id),
        "iat": now,
        "exp": now + SIGN_IN_LIFETIME,
        "jti": secrets.token_urlsafe(12),
        "pwd": password_mark(user),
    }
    return jwt.encode(claims, derived_key("access_jwt"), algorithm=ALGORITHM, headers={"typ": TYPE, "kid": _key_id()})


def password_mark(user: User) -> str:
    """Return a name of the user's present password: another one has another name."""
    return keyed_hash("password_mark", f"{user.id}{user.password}")[:16]


def is_good(actor: Actor) -> bool:
    """Tell whether what the actor came with would be let in again: a token that is still good; of a person an active
    account, and the password as it was at the sign-in.
    """
    if actor.token_id is not None and not AccessToken.objects.live().filter(pk=actor.token_id).exists():
        return False
    if actor.kind != "user":
        return True
    user = User.objects.filter(Q(pk=actor.id), is_active=True).first()
    return user is not None and actor.password_mark in {"", password_mark(user)}


def mint() -> tuple[str, str, str]:
    """Return a new long-lived token with what is kept of it: (token, prefix to show, keyed hash)."""
    token = PREFIX + secrets.token_urlsafe(32)
    return token, token[:SHOWN], token_hash(token)


def token_hash(token: str) -> str:
    """Return the keyed hash under which a long-lived token is kept."""
    return keyed_hash("access_token", token)


def _by_sign_in(token: str, request_id: str, address: str) -> Actor | None:
    try:
        header = jwt.get_unverified_header(token)
        if (header.get("typ"), header.get("kid")) != (TYPE, _key_id()):
            return None
        claims = jwt.decode(
            token,
            derived_key("access_jwt"),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=ISSUER,
            options={"require": ["exp", "sub", "pwd"]},
        )
        user_id = UUID(claims["sub"])
    except (jwt.InvalidTokenError, ValueError):
        return None
    user = User.objects.filter(pk=user_id, is_active=True, organization__isnull=False).first()
    if user is None or not secrets.compare_digest(claims["pwd"], password_mark(user)):
        return None
    return actor_of_user(user, request_id=request_id, address=address)


def _by_long_lived(token: str, request_id: str, address: str) -> Actor | None:
    found = AccessToken.objects.live().select_related("principal__acts_as", "ou").filter(hmac=token_hash(token)).first()
    if found is None:
        return None
    narrowing = _narrowing(found)
    rights_of = _rights_of(found.principal)
    if rights_of is None:
        return None
    _note_use(found)
    return Actor(
        kind="agent" if found.principal.kind == PrincipalKind.AGENT else "user",
        id=found.principal_id,
        principal_id=rights_of,
        organization_id=found.organization_id,
        ref=found.principal.ref,
        token_id=found.id,
        narrowing=narrowing,
        request_id=request_id,
        address=address,
    )


def _rights_of(principal: Principal) -> UUID | None:
    """Return whose bindings count; None when that is a disabled user."""
    source = principal.acts_as or principal
    if source.kind == PrincipalKind.USER and not User.objects.filter(pk=source.id, is_active=True).exists():
        return None
    return source.id


def _narrowing(token: AccessToken) -> Narrowing | None:
    if token.actions is None and token.ou is None:
        return None
    actions = None if token.actions is None else tuple(token.actions)
    return Narrowing(actions, token.ou.path if token.ou else None)


def _note_use(token: AccessToken) -> None:
    """Keep when it was used last, to the minute: not a write for every request."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > USED_AT_PRECISION:
        AccessToken.objects.filter(pk=token.pk).update(last_used_at=now)


def _key_id() -> str:
    """Return the name of the signing key: a token of another key is refused before its signature is looked at."""
    return keyed_hash("access_jwt_key_id", "")[:16]
