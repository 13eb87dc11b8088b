"""Our mark on what we make: how a lost create is found again, and how an orphan is told from a stranger's thing.

    powerloom: "1.<organization>.<object>.<HMAC over installation, organization, kind and object>"

Nobody without the installation's key can make one, so a thing that carries a good stamp is ours, and names whose it is.
"""

from __future__ import annotations

import hmac
from functools import cache
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from powerloom.kernel.keys import keyed_hash

KEY = "powerloom"
FORMAT = "1"


class Stamp(NamedTuple):
    """What a mark of ours names. One that is no stamp, such as the end of a skill's name, tells no organization."""

    organization_id: UUID | None
    object_id: UUID


def stamp(kind: str, stamped: Stamp) -> str:
    """Return the text of the stamp."""
    return f"{FORMAT}.{stamped.organization_id}.{stamped.object_id}.{_seal(kind, stamped)}"


def read(kind: str, text: str) -> Stamp | None:
    """Return what the stamp names, or None when it is not one of ours for this kind."""
    parts = text.split(".")
    if len(parts) != 4 or parts[0] != FORMAT:
        return None
    try:
        stamped = Stamp(UUID(parts[1]), UUID(parts[2]))
    except ValueError:
        return None
    return stamped if hmac.compare_digest(parts[3].encode(), _seal(kind, stamped).encode()) else None


def _seal(kind: str, stamped: Stamp) -> str:
    return keyed_hash("cma stamp", f"{installation()} {stamped.organization_id} {kind} {stamped.object_id}")


@cache
def installation() -> str:
    """Return the id of this installation, from the function named in the settings: what knows it lies above us."""
    return str(import_string(settings.INSTALLATION)())
