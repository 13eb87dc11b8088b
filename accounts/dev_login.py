"""Sign-in by name, for development on one's own machine, and nowhere else.

Each request is judged by itself: the peer is loopback, the Host header names this machine literally (a foreign name
that resolves here is how a web page reaches a local server), nothing forwarded it, and no other site sent it. Otherwise
the door does not exist.
"""

from __future__ import annotations

import re
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest

from accounts.models import User
from powerloom.kernel.errors import NotFound
from powerloom.web.requests import address

HOME = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?")
FORWARDING = re.compile(r"HTTP_(X_FORWARDED_.+|X_REAL_IP|FORWARDED|VIA|CF_.+|TRUE_CLIENT_IP|X_CLIENT_IP)")
MOST_NAMED = 12
OWN_SITE = {"", "same-origin", "none"}  # "none": typed into the address bar


def user_named(request: HttpRequest, email: str) -> User:
    """Return the active user of this e-mail, if the request may sign in by name. Raises `NotFound` otherwise."""
    if not is_home(request):
        raise NotFound
    user = User.objects.filter(email__iexact=email, is_active=True, organization__isnull=False).first()
    if user is None:
        raise NotFound
    return user


def people(request: HttpRequest) -> list[User]:
    """Return whom this request may sign in as by name, oldest first; nobody where the door does not exist."""
    if not is_home(request):
        return []
    return list(User.objects.filter(is_active=True, organization__isnull=False).order_by("pk")[:MOST_NAMED])


def is_home(request: HttpRequest) -> bool:
    """Tell whether this very request may sign in by name."""
    return bool(settings.DEV_MODE) and _is_loopback(address(request)) and _names_home(request) and _is_direct(request)


def _is_loopback(peer: str) -> bool:
    try:
        return ip_address(peer).is_loopback
    except ValueError:
        return False


def _names_home(request: HttpRequest) -> bool:
    # The header itself: get_host() may believe X-Forwarded-Host.
    return HOME.fullmatch(request.META.get("HTTP_HOST", "").lower()) is not None


def _is_direct(request: HttpRequest) -> bool:
    if any(FORWARDING.fullmatch(name) for name in request.META):
        return False
    own = {"", f"{request.scheme}://{request.META['HTTP_HOST']}".lower()}
    return request.headers.get("Origin", "").lower() in own and request.headers.get("Sec-Fetch-Site", "") in OWN_SITE
