"""Makers of MCP servers as their commands and probes leave them, and of their attachments to agents."""

from collections.abc import Sequence
from typing import Any

from accounts.models import OU, User
from agents.commands import AttachServer, CreateCredential
from agents.minting import sealed_bearer
from agents.models import Agent, Credential, DeploymentStatus, MCPDeployment, MCPServer, MCPTool, ServerState
from agents.spec import AttachedServer
from powerloom.commands.bus import submit_all
from powerloom.commands.registry import Done
from powerloom.kernel.ids import new_id
from tests.world import actor_of

HASH = "a" * 64
TOOLS = ("echo", "fail")


def make_server(ou: OU, name: str = "notes", *, tools: Sequence[str] = TOOLS, **fields: Any) -> MCPServer:
    """Make a foreign server that was probed and whose tools are pinned as they were seen."""
    said = {"display_name": name.capitalize(), "url": f"https://{name}.example/mcp", "state": ServerState.VERIFIED}
    server = MCPServer.objects.create(
        organization_id=ou.organization_id, ou=ou, name=name, server_name=name, **{**said, **fields}
    )
    pin(server, *tools)
    return server


def make_managed_server(
    ou: OU, name: str = "echo", *, status: str = DeploymentStatus.RUNNING, tools: Sequence[str] = TOOLS
) -> MCPServer:
    """Make a managed server with its deployment."""
    deployment = MCPDeployment.objects.create(
        organization_id=ou.organization_id,
        ou=ou,
        name=name,
        display_name=name.capitalize(),
        template_kind="echo",
        status=status,
    )
    return make_server(ou, name, tools=tools, url="", deployment=deployment)


def pin(server: MCPServer, *tools: str) -> None:
    """Have the server's tools seen and pinned as they are."""
    for name in tools:
        definition = {"name": name, "inputSchema": {"type": "object"}}
        MCPTool.objects.create(
            server=server, name=name, definition=definition, sha256=HASH, pinned=definition, pinned_sha256=HASH
        )


def attach_server(by: User, agent: Agent, server: MCPServer, **settings: Any) -> Credential:
    """Attach a server as this user, with its credential as the edge does, and return that."""
    sealed_id, bearer_hash = sealed_bearer(agent.organization_id)
    setting = AttachedServer(mcp_server_registration_id=server.id, **settings)
    credential = CreateCredential(
        id=new_id(), agent_id=agent.id, server_id=server.id, sealed_id=sealed_id, bearer_hash=bearer_hash
    )
    outcome = submit_all([AttachServer(agent_id=agent.id, server=setting), credential], actor=actor_of(by))
    assert isinstance(outcome, Done)
    made: Credential = outcome.rows[1]
    return made
