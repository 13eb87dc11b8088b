"""How an agent stands with MCP servers: whether it has a credential for each, and whether its vault has that too.

Asked by the agent's page and API, and when a session ended without using the servers it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any  # JSON
from uuid import UUID

from django.utils import timezone

from agents import readiness, withholding
from agents.kinds import SyncKind
from agents.models import Agent, AgentMCPServer, Credential, DeploymentStatus, MCPServer, ServerState
from agents.queries.lists import sync_states
from agents.queries.server_attachments import setting_of, tools_on
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


@dataclass(frozen=True)
class Lent:
    """An attached server as its agent has it now. `tools` are those that the agent may call, each with who says yes to
    a call; `withheld` says why it gets none of it, if it does not.
    """

    row: AgentMCPServer
    tools: Mapping[str, str]
    connection: Connection
    withheld: str

    @property
    def server(self) -> MCPServer:
        return self.row.server

    @property
    def obstacle(self) -> str:
        """The nearest thing that keeps the agent from the server, in words; empty when nothing does."""
        deployment = self.server.deployment
        if self.withheld:
            return self.withheld
        if deployment and deployment.status != DeploymentStatus.RUNNING:
            return f"its deployment is {deployment.status}"
        if self.server.state == ServerState.FAILING:
            return "it does not answer as an MCP server"
        if not self.tools:
            return "none of its tools is on"
        return self.connection.why


def lent_to(agent: Agent, rows: Sequence[AgentMCPServer]) -> list[Lent]:
    """Return the agent's attached servers as it has them; five queries for any number."""
    ids = [row.server_id for row in rows]
    held, offered, withheld = of(agent.pk, ids), tools_on(ids), withholding.server_reasons(agent, rows)
    return [
        Lent(row, _callable(row, offered.get(row.server_id, ())), held[row.server_id], withheld.get(row.server_id, ""))
        for row in rows
    ]


def of(agent_id: UUID, server_ids: Iterable[UUID]) -> dict[UUID, Connection]:
    """Return how the agent stands with each of these servers; two queries for any number."""
    ids = list(server_ids)
    credentials = {
        credential.server_id: credential
        for credential in Credential.objects.filter(agent_id=agent_id, server_id__in=ids, archived_at__isnull=True)
    }
    states = sync_states(SyncKind.CREDENTIAL, [credential.pk for credential in credentials.values()])
    return {id_: _connection(credentials.get(id_), states) for id_ in ids}


def of_credentials(rows: Sequence[Credential]) -> dict[UUID, Connection]:
    """Return where each of these live credentials stands, by its id; one query."""
    states = sync_states(SyncKind.CREDENTIAL, [row.pk for row in rows])
    return {row.pk: _connection(row, states) for row in rows}


def _callable(row: AgentMCPServer, offered: Iterable[str]) -> dict[str, str]:
    tools = setting_of(row).applied_to(offered)
    return {name: tool.permission for name, tool in tools.items() if tool.enabled}


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
