"""Credentials: made, rotated, revealed once, destroyed. The edge seals every value before a command names it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar  # Any: audit payloads are JSON
from uuid import UUID

from django.utils import timezone
from pydantic import AwareDatetime, Field

from accounts import sealing
from accounts.models import Sealed
from agents import convergence, queries
from agents.actions import Action
from agents.endpoints import endpoint_of, origin_of
from agents.minting import SEALED
from agents.models import Agent, Credential, CredentialSource, MCPServer
from agents.queries.credentials import credentials_of, server_to_show_to
from agents.spec import MAX_MCP_SERVERS
from powerloom.commands.registry import Change, Command, Need, Subject, handles
from powerloom.kernel.errors import Conflict, Invalid
from powerloom.kernel.refs import Actor, Target

MAX_CREDENTIALS = MAX_MCP_SERVERS  # of one agent, because CMA keeps at most 20 in a vault

BearerHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class CreateCredential(Command):
    """Give an agent a bearer for an MCP server: minted here, or the foreign server's own token.

    An agent has one for each server. Where it has one already, that one is the answer and the new value is dropped;
    only another given token is refused. Needs `mcp_server:use` of the actor too.
    """

    action: ClassVar[str] = Action.CREDENTIAL_CREATE
    id: UUID
    agent_id: UUID
    server_id: UUID
    sealed_id: UUID
    bearer_hash: BearerHash
    source: CredentialSource = CredentialSource.MINTED
    expires_at: AwareDatetime | None = None

    def minted_values(self) -> list[str]:
        """A minted bearer is another at every asking; a given token is what was asked."""
        minted = [self.bearer_hash] if self.source == CredentialSource.MINTED else []
        return [*super().minted_values(), *minted]


def load_create(command: CreateCredential, actor: Actor) -> Subject:
    agent = queries.agent_for_change(actor, command.agent_id)  # locked: two at once make one
    server = server_to_show_to(actor, command.server_id)
    existing = credentials_of(agent).filter(server=server).first()
    target = Target("credential", command.id, server.name, agent.organization_id, agent.ou.path)
    return Subject((agent, server, existing), existing.target() if existing else target, needs=_use(server))


@handles(CreateCredential, load=load_create)
def create_credential(command: CreateCredential, *, subject: Subject, actor: Actor) -> Change:
    agent, server, existing = subject.row
    if existing:
        return _repeated(command, existing)
    _check_value(server, command.source)
    _check_expiry(command.expires_at)
    _check_room(agent, server)
    credential = Credential(
        id=command.id,
        organization_id=agent.organization_id,
        agent=agent,
        server=server,
        source=command.source,
        sealed=_taken(command.sealed_id, agent.organization_id),
        bearer_hash=command.bearer_hash,
        origin=_origin(server),
        expires_at=command.expires_at,
    )
    credential.save(force_insert=True)
    convergence.credential_created(credential)
    return Change(credential, None, _described(credential))


def _repeated(command: CreateCredential, existing: Credential) -> Change:
    is_other = command.source == CredentialSource.GIVEN and command.bearer_hash != existing.bearer_hash
    if is_other:
        raise Conflict(
            "The agent has a credential for this server already. Rotate that one with the token.",
            credential_id=str(existing.id),
        )
    return Change(existing, _described(existing), _described(existing))


def _check_value(server: MCPServer, source: str) -> None:
    if source == CredentialSource.GIVEN and server.is_managed:
        raise Invalid("The bearer of a managed server is minted here. Leave the token out.", field="token")


def _check_expiry(expires_at: AwareDatetime | None) -> None:
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid("The credential would have expired already.", field="expires_at")


def _check_room(agent: Agent, server: MCPServer) -> None:
    """Raise `Conflict` for what CMA's vault would refuse: one too many, or a second one for the same URL."""
    others = list(credentials_of(agent))
    if len(others) >= MAX_CREDENTIALS:
        raise Conflict(f"An agent has at most {MAX_CREDENTIALS} credentials, and {agent.name} has them. Delete one.")
    if any(endpoint_of(other.server) == endpoint_of(server) for other in others):
        raise Conflict("The agent has a credential for another registration of the same URL. Delete that one first.")


def _use(server: MCPServer) -> tuple[Need, ...]:
    return (Need(Action.MCP_SERVER_USE, server.target()),)


def _origin(server: MCPServer) -> str:
    return "" if server.is_managed else origin_of(server.url)


def _taken(sealed_id: UUID, organization_id: UUID) -> Sealed:
    return sealing.take(sealing.waiting(sealed_id, kind=SEALED, organization_id=organization_id))


def _described(credential: Credential) -> dict[str, Any]:
    expires_at = credential.expires_at
    return {
        "agent_id": str(credential.agent_id),
        "mcp_server_registration_id": str(credential.server_id),
        "source": credential.source,
        "number": credential.number,
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
