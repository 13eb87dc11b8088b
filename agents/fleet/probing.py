"""Our own ways in, short-lived tokens for one deployment: a probe's opens initialize and tools/list, and no call; that
of somebody who tries a tool by hand opens what he may use.
"""

from __future__ import annotations

import hmac
import re
import time
from uuid import UUID

from powerloom.kernel.keys import keyed_hash

PREFIX = "plprobe_"
TRYING = "pltry_"
LIFETIME = 60  # seconds


def probe_token(deployment_id: UUID) -> str:
    """Return a token that opens this deployment's listing for a minute. Every process with our secret key knows it."""
    ends_at = int(time.time()) + LIFETIME
    return f"{PREFIX}{ends_at}_{_mark(deployment_id, ends_at)}"


def is_probe(bearer: str, deployment_id: UUID) -> bool:
    """Tell whether the bearer is a token of ours for this deployment that has not run out."""
    moment, _, mark = bearer.removeprefix(PREFIX).partition("_")
    if not bearer.startswith(PREFIX) or not _is_moment(moment):
        return False
    ends_at = int(moment)
    is_ours = hmac.compare_digest(mark.encode(), _mark(deployment_id, ends_at).encode())
    return is_ours and _is_now(ends_at)


def trying_token(deployment_id: UUID, principal_id: UUID) -> str:
    """Return a token by which this principal may try tools of the deployment for a minute."""
    ends_at = int(time.time()) + LIFETIME
    return f"{TRYING}{ends_at}_{principal_id.hex}_{_mark_of(deployment_id, principal_id, ends_at)}"


def tried_by(bearer: str, deployment_id: UUID) -> UUID | None:
    """Return who tries tools with this bearer: None unless it is such a token, for this deployment, and good."""
    if not bearer.startswith(TRYING):
        return None
    moment, _, rest = bearer.removeprefix(TRYING).partition("_")
    who, _, mark = rest.partition("_")
    if not _is_moment(moment) or not re.fullmatch(r"[0-9a-f]{32}", who):
        return None
    ends_at, principal_id = int(moment), UUID(hex=who)
    is_ours = hmac.compare_digest(mark.encode(), _mark_of(deployment_id, principal_id, ends_at).encode())
    return principal_id if is_ours and _is_now(ends_at) else None


def _is_moment(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12


def _is_now(ends_at: int) -> bool:
    return time.time() < ends_at <= time.time() + LIFETIME


def _mark(deployment_id: UUID, ends_at: int) -> str:
    return keyed_hash("fleet-probe", f"{deployment_id} {ends_at}")


def _mark_of(deployment_id: UUID, principal_id: UUID, ends_at: int) -> str:
    return keyed_hash("fleet-trying", f"{deployment_id} {principal_id} {ends_at}")
