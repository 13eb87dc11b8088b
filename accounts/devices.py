"""Signing in a program through somebody's browser, as RFC 8628 says: it shows a code, a person who is signed in
confirms it, and the program, which looks now and then, is given a token of that person.

    pending → approved → spent
            → denied

The codes live for ten minutes and once, and only keyed hashes of them are kept. How often one may ask for a code or
try one is limited, and so is how often a program may look.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import F
from django.db.models.functions import Least
from django.utils import timezone

from accounts import attempts
from accounts.models import OU, DeviceLogin, User
from accounts.tokens import password_mark
from powerloom.kernel.errors import AlreadyDecided, NotFound
from powerloom.kernel.keys import keyed_hash
from powerloom.kernel.states import transition

LIFETIME = timedelta(minutes=10)
KEPT = timedelta(days=1)
INTERVAL = 5  # seconds, and as many more each time that somebody looks too soon
LONGEST_INTERVAL = 300
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, so that no code is a word; RFC 8628, section 6.1
LENGTH = 8
MOST_ASKED = 30  # codes of one address in a quarter of an hour
MOST_TRIED = 30  # codes that one person tries in a quarter of an hour; there are 20**8
LONGEST_CODE = 200


class Refusal(StrEnum):
    """Why there is no token, in the words of RFC 8628, section 3.5, and RFC 6749, section 5.2."""

    PENDING = "authorization_pending"
    SLOW_DOWN = "slow_down"
    DENIED = "access_denied"
    EXPIRED = "expired_token"
    UNKNOWN = "invalid_grant"


@dataclass(frozen=True)
class Codes:
    """What a program is given: its own code, and the one that it shows."""

    device: str
    user: str


@dataclass(frozen=True)
class Chosen:
    """What the token shall be: its name, what it is narrowed to, and its end."""

    name: str
    actions: list[str] | None
    ou: OU | None
    expires_at: datetime


def begin(client_name: str, scope: Sequence[str], address: str) -> Codes:
    """Start a sign-in. Raises `TooMany` when this address starts too many."""
    attempts.count("device_code", address, most=MOST_ASKED)
    codes = Codes(secrets.token_urlsafe(32), "".join(secrets.choice(LETTERS) for _ in range(LENGTH)))
    now = timezone.now()
    DeviceLogin.objects.create(
        device_hmac=_hash("device", codes.device),
        user_hmac=_hash("user", codes.user),
        client_name=client_name,
        scope=list(scope),
        address=address,
        expires_at=now + LIFETIME,
        interval=INTERVAL,
        next_look_at=now,
    )
    return codes


def shown(user_code: str) -> str:
    """Return a code as people read it."""
    return f"{user_code[: LENGTH // 2]}-{user_code[LENGTH // 2 :]}"


def waiting(user_code: str, user: User) -> DeviceLogin:
    """Return the sign-in that waits under this code. Raises `NotFound`, and `TooMany` for somebody who guesses."""
    attempts.count("user_code", str(user.pk), most=MOST_TRIED)
    typed = "".join(letter for letter in user_code.upper()[:LONGEST_CODE] if letter in LETTERS)
    found = DeviceLogin.objects.filter(
        user_hmac=_hash("user", typed), status=DeviceLogin.Status.PENDING, expires_at__gt=timezone.now()
    ).first()
    if found is None:
        raise NotFound("No sign-in waits under this code. It may be older than ten minutes: start again.")
    return found


def approve(login: DeviceLogin, user: User, chosen: Chosen) -> None:
    """Say yes for oneself. Raises `AlreadyDecided`."""
    transition(
        login,
        DeviceLogin.Status.APPROVED,
        user=user,
        password_mark=password_mark(user),
        token_name=chosen.name,
        token_actions=chosen.actions,
        token_ou=chosen.ou,
        token_expires_at=chosen.expires_at,
    )


def deny(login: DeviceLogin, user: User) -> None:
    """Say no. Raises `AlreadyDecided`."""
    transition(login, DeviceLogin.Status.DENIED, user=user)


def look(device_code: str) -> DeviceLogin | Refusal:
    """Return the sign-in that was approved, a single time, or why there is none."""
    now = timezone.now()
    rows = DeviceLogin.objects.filter(device_hmac=_hash("device", device_code[:LONGEST_CODE]))
    login = rows.select_related("user", "token_ou").first()
    if login is None or login.status == DeviceLogin.Status.SPENT:
        return Refusal.UNKNOWN
    if login.expires_at <= now:
        return Refusal.EXPIRED
    if login.status == DeviceLogin.Status.DENIED:
        return Refusal.DENIED
    on_time = rows.filter(next_look_at__lte=now).update(next_look_at=now + timedelta(seconds=login.interval))
    if not on_time:
        later = min(login.interval + INTERVAL, LONGEST_INTERVAL)
        slower = Least(F("interval") + INTERVAL, LONGEST_INTERVAL)
        rows.update(interval=slower, next_look_at=now + timedelta(seconds=later))
        return Refusal.SLOW_DOWN
    return _spent(login) if login.status == DeviceLogin.Status.APPROVED else Refusal.PENDING


def sweep() -> int:
    """Forget the sign-ins that are over."""
    count, _ = DeviceLogin.objects.filter(expires_at__lt=timezone.now() - KEPT).delete()
    return count


def _spent(login: DeviceLogin) -> DeviceLogin | Refusal:
    """Use it up: of two that look at once, one gets it. Who may sign in no more, or otherwise, gets nothing."""
    try:
        transition(login, DeviceLogin.Status.SPENT)
    except AlreadyDecided:
        return Refusal.UNKNOWN
    user = login.user
    is_good = user is not None and user.is_active and secrets.compare_digest(login.password_mark, password_mark(user))
    return login if is_good else Refusal.DENIED


def _hash(which: str, code: str) -> str:
    return keyed_hash(f"{which}_code", code)
