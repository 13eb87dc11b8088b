"""MCP servers as rows, wired to agents, and the agents' credentials for them as their commands leave them."""

from datetime import datetime
from typing import Any

from accounts.models import OU, User
from agents import minting
from agents.commands.credentials import CreateCredential
from agents.models import (
    Agent,
    AgentMCPServer,
    Credential,
    CredentialSource,
    DeploymentStatus,
    MCPDeployment,
    MCPServer,
)
from powerloom.kernel.ids import new_id
from tests.declared import done

URL = "https://mcp.example.com/mcp"


def make_foreign(ou: OU, name: str = "tracker", url: str = URL) -> MCPServer:
    """Register a foreign server."""
    return MCPServer.objects.create(
        organization=ou.organization, ou=ou, name=name, server_name=name, display_name=name.capitalize(), url=url
    )


def make_managed(ou: OU, name: str = "parrot") -> MCPServer:
    """Declare an echo deployment that runs, with its registration."""
    common: dict[str, Any] = {"organization": ou.organization, "ou": ou, "name": name, "display_name": name}
    deployment = MCPDeployment.objects.create(template_kind="echo", status=DeploymentStatus.RUNNING, **common)
    return MCPServer.objects.create(server_name=name, deployment=deployment, **common)


def wire(agent: Agent, *servers: MCPServer) -> None:
    """Attach servers, in the table that says what is attached now."""
    AgentMCPServer.objects.bulk_create(AgentMCPServer(agent=agent, server=server) for server in servers)


def make_credential(
    by: User, agent: Agent, server: MCPServer, *, token: str = "", expires_at: datetime | None = None
) -> Credential:
    """Give the agent a credential as this user: minted, or the token given."""
    organization_id = agent.organization_id
    sealed_id, bearer_hash = (
        minting.sealed_token(organization_id, token) if token else minting.sealed_bearer(organization_id)
    )
    command = CreateCredential(
        id=new_id(),
        agent_id=agent.id,
        server_id=server.id,
        sealed_id=sealed_id,
        bearer_hash=bearer_hash,
        source=CredentialSource.GIVEN if token else CredentialSource.MINTED,
        expires_at=expires_at,
    )
    credential: Credential = done(command, by)
    return credential
