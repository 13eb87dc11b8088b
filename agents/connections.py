"""How an agent stands with MCP servers: whether it has a credential for each, and whether its vault has that too.

Asked by the agent's page and API, and when a session ended without using the servers it had.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any  # JSON
from uuid import UUID

from django.utils import timezone

from agents import readiness
from agents.kinds import SyncKind
from agents.models import Credential
from agents.queries.lists import sync_states
from powerloom.reconcile.models import SyncState


class Holding(StrEnum):
    """What an agent has to show to a server."""

    MISSING = "missing"
    VOIDED = "voided"  # the server's address moved to another origin
    EXPIRED = "expired"
    UNSYNCED = "unsynced"  # it is not in the vault as it should be; the words say why
    GOOD = "good"


@dataclass(frozen=True)
class Connection:
    """An agent's credential for one server, and how that stands. `why` is the reconciler's reason where it has one."""

    holding: Holding
    credential_id: UUID | None = None
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for an answer: the credential's id, null without one, and where it stands."""
        return {"id": self.credential_id, "status": self.holding, "why": self.why}


NONE = Connection(Holding.MISSING)


def of(agent_id: UUID, server_ids: Iterable[UUID]) -> dict[UUID, Connection]:
    """Return how the agent stands with each of these servers; two queries for any number."""
    ids = list(server_ids)
    credentials = {
        credential.server_id: credential
        for credential in Credential.objects.filter(agent_id=agent_id, server_id__in=ids, archived_at__isnull=True)
    }
    states = sync_states(SyncKind.CREDENTIAL, [credential.pk for credential in credentials.values()])
    return {id_: _connection(credentials.get(id_), states) for id_ in ids}


def _connection(credential: Credential | None, states: dict[UUID, SyncState]) -> Connection:
    if credential is None:
        return NONE
    if credential.voided_at is not None:
        return Connection(Holding.VOIDED, credential.pk)
    if credential.expires_at is not None and credential.expires_at <= timezone.now():
        return Connection(Holding.EXPIRED, credential.pk)
    if missing := readiness.missing("credential", states.get(credential.pk)):
        return Connection(Holding.UNSYNCED, credential.pk, missing)
    return Connection(Holding.GOOD, credential.pk)
