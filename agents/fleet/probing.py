"""Our own way in: a short-lived token for one deployment that opens initialize and tools/list, and no call."""

from __future__ import annotations

import hmac
import time
from uuid import UUID

from powerloom.kernel.keys import keyed_hash

PREFIX = "plprobe_"
LIFETIME = 60  # seconds


def probe_token(deployment_id: UUID) -> str:
    """Return a token that opens this deployment's listing for a minute. Every process with our secret key knows it."""
    ends_at = int(time.time()) + LIFETIME
    return f"{PREFIX}{ends_at}_{_mark(deployment_id, ends_at)}"


def is_probe(bearer: str, deployment_id: UUID) -> bool:
    """Tell whether the bearer is a token of ours for this deployment that has not run out."""
    moment, _, mark = bearer.removeprefix(PREFIX).partition("_")
    if not bearer.startswith(PREFIX) or not (moment.isascii() and moment.isdigit() and len(moment) <= 12):
        return False
    ends_at = int(moment)
    is_ours = hmac.compare_digest(mark.encode(), _mark(deployment_id, ends_at).encode())
    return is_ours and time.time() < ends_at <= time.time() + LIFETIME


def _mark(deployment_id: UUID, ends_at: int) -> str:
    return keyed_hash("fleet-probe", f"{deployment_id} {ends_at}")
