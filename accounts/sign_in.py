"""Signing in with e-mail and password, for console and API alike: slowed down, recorded, and silent about who exists.

An unknown e-mail costs the same hashing as a wrong password and gets the same answer.
"""

from __future__ import annotations

from importlib import import_module
from uuid import UUID

from django.conf import settings
from django.contrib.auth import SESSION_KEY, authenticate

from accounts import attempts
from accounts.models import User
from accounts.tokens import actor_of_user
from powerloom.audit import log as audit
from powerloom.kernel.errors import PowerloomError, TooMany, Unauthenticated
from powerloom.kernel.refs import Actor, Target

ACTION = "user:sign_in"
LONGEST_PASSWORD = 1024  # longer ones would only buy an attacker our hashing time


def by_password(email: str, password: str, *, request_id: str, address: str) -> User:
    """Return the active user whom the two fit. Raises `Unauthenticated` or `TooMany`; either way it is recorded."""
    user = confirm(email, password, request_id=request_id, address=address)
    record(user, "password", request_id=request_id, address=address)
    return user


def confirm(email: str, password: str, *, request_id: str, address: str) -> User:
    """As `by_password`, for somebody who is signed in already: only a refusal is recorded."""
    try:
        attempts.begin(email, address)
        user = _fitting(email, password)
    except (TooMany, Unauthenticated) as error:
        _record_refusal(email, error, request_id=request_id, address=address)
        raise
    attempts.forgive(email, address)
    return user


def record(user: User, means: str, *, request_id: str, address: str) -> None:
    """Record a sign-in by these means in the trail of the user's organization."""
    actor = actor_of_user(user, request_id=request_id, address=address)
    audit.record(audit.Record(ACTION, "", user.target(), after={"means": means}), actor=actor)


def is_open(session_key: str, user_id: UUID | None) -> bool:
    """Tell whether the console session of this key is still that user's: a sign-out removes it, and time ends it."""
    found = import_module(settings.SESSION_ENGINE).SessionStore(session_key).get(SESSION_KEY)
    return bool(found == str(user_id))


def _fitting(email: str, password: str) -> User:
    user = authenticate(username=email, password=password[:LONGEST_PASSWORD])
    if not isinstance(user, User):
        raise Unauthenticated("This e-mail and password do not fit together.")
    return user


def _record_refusal(email: str, error: PowerloomError, *, request_id: str, address: str) -> None:
    """Record it where it will be read: in the trail of the organization whose user was tried, else in ours."""
    known = User.objects.filter(email__iexact=email).select_related("home_ou").first()
    nobody = Actor(
        kind="system",
        id=None,
        principal_id=None,
        organization_id=known.organization_id if known else None,
        ref=f"address:{address}",
        request_id=request_id,
        address=address,
    )
    target = known.target() if known else Target("user", audit.installation_id(), "", None, "")
    # A password typed into the wrong field has no @ and is not kept.
    asked = {"email": email[:254]} if "@" in email else {}
    audit.refuse(actor=nobody, action=ACTION, error=error, target=target, asked=asked)
