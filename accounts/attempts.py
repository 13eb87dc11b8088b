"""Sign-in attempts, counted in the database, so that every process sees them: guessing gets slow before it gets in.

Counted three ways over a quarter of an hour: one address against one e-mail, one address against all, all against one
e-mail. An attempt counts before its password is looked at, so that a hundred at once are a hundred, and is taken back
when it was right. Only keyed hashes of e-mail and address are kept.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone

from powerloom.audit.models import DenialWindow
from powerloom.kernel.canonical import keyed_digest
from powerloom.kernel.errors import TooMany
from powerloom.kernel.keys import derived_key

WINDOW = timedelta(minutes=15)
MOST_BY_PAIR = 10
MOST_BY_ADDRESS = 60
MOST_BY_EMAIL = 100


def begin(email: str, address: str) -> None:
    """Count one attempt. Raises `TooMany`, and counts nothing, when this e-mail or address has tried too often."""
    with transaction.atomic(durable=True):
        for fingerprint, most in _fingerprints(email, address):
            if _counted(fingerprint) > most:
                raise TooMany(
                    "Too many failed sign-ins. Wait a quarter of an hour, then try again.",
                    retry_after=int(WINDOW.total_seconds()),
                )


def forgive(email: str, address: str) -> None:
    """Take one attempt back: it was right."""
    since = timezone.now() - WINDOW
    for fingerprint, _ in _fingerprints(email, address):
        counted = DenialWindow.objects.filter(fingerprint=fingerprint, minute__gt=since, count__gt=0)
        newest = counted.order_by("-minute").values("pk")[:1]
        DenialWindow.objects.filter(pk__in=list(newest.values_list("pk", flat=True))).update(count=F("count") - 1)


def count(what: str, who: str, *, most: int) -> None:
    """Count one of these. Raises `TooMany`, and counts nothing, when there were more than `most` of somebody's."""
    with transaction.atomic(durable=True):
        if _counted(keyed_digest(derived_key("sign_in_attempts"), [what, who])) > most:
            raise TooMany(
                "Too many at once. Wait a quarter of an hour, then try again.",
                retry_after=int(WINDOW.total_seconds()),
            )


def _counted(fingerprint: str) -> int:
    """Add one to this minute and return the sum; the row stays locked, so that attempts at once count one another."""
    now = timezone.now()
    minute = now.replace(second=0, microsecond=0)
    window, is_new = DenialWindow.objects.get_or_create(fingerprint=fingerprint, minute=minute)
    if not is_new:
        DenialWindow.objects.filter(pk=window.pk).update(count=F("count") + 1)
    recent = DenialWindow.objects.filter(fingerprint=fingerprint, minute__gt=now - WINDOW)
    return recent.aggregate(total=Sum("count"))["total"] or 0


def _fingerprints(email: str, address: str) -> list[tuple[str, int]]:
    """Return what is counted with its limit, in one order for all: two attempts never wait for each other in a ring."""
    asked = email.strip().lower()
    limits = {(asked, address): MOST_BY_PAIR, ("*", address): MOST_BY_ADDRESS, (asked, "*"): MOST_BY_EMAIL}
    key = derived_key("sign_in_attempts")
    return sorted((keyed_digest(key, ["sign_in", *who]), most) for who, most in limits.items())
