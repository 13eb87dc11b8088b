"""MCP servers as rows, wired to agents, and the agents' credentials for them as their commands leave them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from accounts import sealing
from accounts.models import OU, User
from agents import minting
from agents.commands.credentials import CreateCredential, RotateCredential
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
    sealed_id, bearer_hash = _sealed(agent.organization_id, token)
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


def rotate(by: User, credential: Credential, *, token: str = "", expires_at: datetime | None = None) -> Credential:
    """Replace a credential's value as this user: by a minted one, or by the token given."""
    sealed_id, bearer_hash = _sealed(credential.organization_id, token)
    command = RotateCredential(
        credential_id=credential.id,
        sealed_id=sealed_id,
        bearer_hash=bearer_hash,
        source=CredentialSource.GIVEN if token else CredentialSource.MINTED,
        expires_at=expires_at,
    )
    rotated: Credential = done(command, by)
    return rotated


def value_of(credential: Credential) -> str:
    """The value that a credential has now."""
    sealed = Credential.objects.select_related("sealed").get(pk=credential.pk).sealed
    assert sealed is not None
    return sealing.unseal(sealed)


def _sealed(organization_id: UUID, token: str) -> tuple[UUID, str]:
    return minting.sealed_token(organization_id, token) if token else minting.sealed_bearer(organization_id)
