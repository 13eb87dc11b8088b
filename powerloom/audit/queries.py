"""Reading the trail. Which entries somebody may see is the law of access's to say (`accounts.trail`); this narrows
them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any  # free-form JSON of bodies
from uuid import UUID

from django.db.models import Q, QuerySet

from powerloom.audit.chain import Head
from powerloom.audit.models import ChainHead, Entry


@dataclass(frozen=True)
class Filters:
    """What to look for; None means anything. `actor` is a reference (`user:a@b`), `action_verb` follows the colon."""

    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    action: str | None = None
    action_verb: str | None = None
    decision: str | None = None
    resource_kind: str | None = None
    resource_id: UUID | None = None
    approval_request_id: UUID | None = None
    request_id: str | None = None
    delegated_from_session: UUID | None = None


_LOOKUPS = {
    "since": "created_at__gte",
    "until": "created_at__lt",
    "actor": "actor_ref",
    "resource_kind": "target_kind",
    "resource_id": "target_id",
}


def filtered(entries: QuerySet[Entry], filters: Filters) -> QuerySet[Entry]:
    """Return the entries that match every filter that is given."""
    law = Q()
    for name, value in vars(filters).items():
        if value is None:
            continue
        law &= Q(action__endswith=f":{value}") if name == "action_verb" else Q(**{_LOOKUPS.get(name, name): value})
    return entries.filter(law)


def head_of(chain: UUID) -> Head | None:
    """Return where a chain ends now, or None when it has no entry."""
    row = ChainHead.objects.filter(pk=chain).first()
    return Head(chain, row.seq, row.hash) if row else None


def payload(entry: Entry) -> dict[str, Any]:
    """Return the body of an entry, parsed."""
    body: dict[str, Any] = json.loads(entry.body)
    return body
