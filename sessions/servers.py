"""How a session's agent stood with its MCP servers; asked only when a session ended without using any of them."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import F
from django.utils import timezone

from agents import readiness
from agents.kinds import SyncKind
from agents.models import AgentVersion, Credential, MCPServer, MCPTool
from agents.spec import AgentSpec
from powerloom.reconcile.models import SyncState
from sessions.degradation import Server, Standing
from sessions.models import AgentSession


def standings(session_id: UUID) -> list[Server]:
    """Return every server of the version that ran, and how the agent's credential for it stands; six queries."""
    session = AgentSession.objects.only("agent_id", "agent_version", "cma_vault_id").get(pk=session_id)
    version = AgentVersion.objects.get(agent_id=session.agent_id, number=session.agent_version)
    attached = [one.mcp_server_registration_id for one in AgentSpec.model_validate(version.spec).mcp_servers]
    servers = list(MCPServer.objects.filter(pk__in=attached).order_by("server_name"))
    credentials = {
        credential.server_id: credential
        for credential in Credential.objects.filter(
            agent_id=session.agent_id, server_id__in=attached, archived_at__isnull=True
        )
    }
    states = _states(credential.pk for credential in credentials.values())
    on = MCPTool.objects.filter(server_id__in=attached, pinned_sha256=F("sha256")).exclude(sha256="")
    with_tools = set(on.values_list("server_id", flat=True))
    has_vault = bool(session.cma_vault_id)
    return [
        _server(server, credentials.get(server.pk), states, has_vault=has_vault)
        if server.pk in with_tools
        else Server(server.server_name, Standing.NO_TOOLS)
        for server in servers
    ]


def _server(
    server: MCPServer, credential: Credential | None, states: dict[UUID, SyncState], *, has_vault: bool
) -> Server:
    if credential is None:
        return Server(server.server_name, Standing.MISSING)
    standing, why = Standing.GOOD, ""
    if credential.voided_at is not None:
        standing = Standing.VOIDED
    elif credential.expires_at is not None and credential.expires_at <= timezone.now():
        standing = Standing.EXPIRED
    elif missing := readiness.missing("credential", states.get(credential.pk)):
        standing, why = Standing.UNSYNCED, missing
    elif not has_vault:
        standing, why = Standing.UNSYNCED, "the session began before the agent had a vault"
    return Server(server.server_name, standing, credential.pk, why)


def _states(ids: Iterable[UUID]) -> dict[UUID, SyncState]:
    rows = SyncState.objects.filter(kind=SyncKind.CREDENTIAL, object_id__in=list(ids))
    return {row.object_id: row for row in rows}
