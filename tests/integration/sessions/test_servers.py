"""How a session's agent stood with its servers when the session ended: the nearest cause of not using one."""

from datetime import timedelta
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.kinds import SyncKind
from agents.models import Agent, AgentMCPServer, Credential, MCPServer, MCPTool, WithheldServer
from powerloom.reconcile.models import SyncState
from sessions.degradation import Server, Standing
from sessions.models import AgentSession
from sessions.servers import NO_VAULT, standings
from tests.connected import attach_server, make_server
from tests.declared import make_agent, make_live
from tests.recorded import invoked
from tests.standing import standing
from tests.world import World

pytestmark = pytest.mark.usefixtures("session")


@standing
def agent(world: World) -> Agent:
    return make_agent(world.bob, world.engineering)


@standing
def server(world: World) -> MCPServer:
    return make_server(world.engineering)


@standing
def credential(world: World, agent: Agent, server: MCPServer) -> Credential:
    """The agent's credential for the server, in its vault."""
    credential = attach_server(world.bob, agent, server)
    make_live(agent.id, credential.id, kinds={SyncKind.ENVIRONMENT})
    return credential


@standing
def session(world: World, agent: Agent, credential: Credential) -> AgentSession:
    return invoked(agent, world.bob)


def stands(session: AgentSession) -> Server:
    [found] = standings(session.id)
    assert found.name == "notes"
    return found


def test_all_is_well(session: AgentSession, credential: Credential) -> None:
    assert stands(session) == Server("notes", Standing.GOOD, credential.id)


def test_the_credential_was_deleted(session: AgentSession) -> None:
    Credential.objects.update(archived_at=timezone.now())
    assert stands(session) == Server("notes", Standing.MISSING)


def test_the_credential_has_expired(session: AgentSession, credential: Credential) -> None:
    Credential.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert stands(session) == Server("notes", Standing.EXPIRED, credential.id)


def test_the_token_was_voided(session: AgentSession, credential: Credential) -> None:
    Credential.objects.update(voided_at=timezone.now())
    assert stands(session) == Server("notes", Standing.VOIDED, credential.id)


def test_the_vault_does_not_have_it(session: AgentSession, credential: Credential) -> None:
    SyncState.objects.filter(object_id=credential.id).update(actual_hash="", last_error="403 from CMA")
    why = "the credential is waiting to be pushed (403 from CMA)"
    assert stands(session) == Server("notes", Standing.UNSYNCED, credential.id, why)


def test_the_session_began_before_the_vault_was_there(session: AgentSession, credential: Credential) -> None:
    AgentSession.objects.update(cma_vault_id="")
    assert stands(session) == Server("notes", Standing.UNSYNCED, credential.id, NO_VAULT)


def test_none_of_its_tools_is_pinned(session: AgentSession) -> None:
    MCPTool.objects.update(pinned_sha256="b" * 64)
    assert stands(session) == Server("notes", Standing.NO_TOOLS)


def test_the_attachment_switches_every_tool_off(world: World, agent: Agent, server: MCPServer) -> None:
    off = {"enabled": False}
    credential = attach_server(world.bob, agent, server, tools={"echo": off, "fail": off})
    make_live(agent.id, credential.id, kinds={SyncKind.ENVIRONMENT})
    assert stands(invoked(agent, world.bob)) == Server("notes", Standing.NO_TOOLS)


def test_the_right_to_it_was_lost(session: AgentSession, agent: Agent, server: MCPServer) -> None:
    WithheldServer.objects.create(agent=agent, server=server, since=timezone.now())
    assert stands(session) == Server("notes", Standing.WITHHELD)


def test_it_was_detached_meanwhile(session: AgentSession) -> None:
    AgentMCPServer.objects.all().delete()
    assert stands(session) == Server("notes", Standing.DETACHED)


def queries_for(session_id: UUID) -> int:
    with CaptureQueriesContext(connection) as captured:
        standings(session_id)
    return len(captured)


def test_it_costs_the_same_for_any_number_of_servers(world: World, session: AgentSession, agent: Agent) -> None:
    one = queries_for(session.id)
    for number in range(3):
        attach_server(world.bob, agent, make_server(world.engineering, f"server-{number}"))
    make_live(agent.id, kinds={SyncKind.CREDENTIAL})
    assert queries_for(invoked(agent, world.bob).id) == one
