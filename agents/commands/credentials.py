"""Credentials: made, rotated, revealed once, destroyed. The edge seals every value before a command names it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar  # Any: audit payloads are JSON
from uuid import UUID

from django.db.models import F, Q
from django.utils import timezone
from pydantic import AwareDatetime, Field

from accounts import sealing
from accounts.models import Sealed
from agents import bearers, convergence, delegating, queries
from agents.actions import Action
from agents.endpoints import endpoint_of, origin_of
from agents.minting import SEALED
from agents.models import Agent, Credential, CredentialSource, MCPServer
from agents.queries.credentials import credential_for_change, credentials_for_change, credentials_of_many
from agents.queries.servers import server_for_read, servers_for_read
from agents.spec import MAX_MCP_SERVERS
from powerloom.commands.registry import Change, Command, Found, Need, Subject, each, handles, handles_all, subjects_in
from powerloom.kernel.errors import Conflict, Invalid, NotFound
from powerloom.kernel.refs import Actor, Target

MAX_CREDENTIALS = MAX_MCP_SERVERS  # of one agent, because CMA keeps at most 20 in a vault

ROTATED = (
    "sealed",
    "bearer_hash",
    "earlier_hash",
    "source",
    "origin",
    "expires_at",
    "number",
    "generation",
    "rotated_at",
    "voided_at",
    "revealed_at",
)

BearerHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class NewValue(Command):
    """Base of what brings a value: sealed at the edge, known by its hash, good until it expires."""

    sealed_id: UUID
    bearer_hash: BearerHash
    source: CredentialSource = CredentialSource.MINTED
    expires_at: AwareDatetime | None = None

    def minted_values(self) -> list[str]:
        """A minted bearer is another at every asking; a given token is what was asked."""
        minted = [self.bearer_hash] if self.source == CredentialSource.MINTED else []
        return [*super().minted_values(), *minted]


class CreateCredential(NewValue):
    """Give an agent a bearer for an MCP server: minted here, or the foreign server's own token.

    An agent has one for each server. Where it has one already, that one is the answer and the new value is dropped;
    only another given token is refused. Needs `mcp_server:use` of the actor too.
    """

    action: ClassVar[str] = Action.CREDENTIAL_CREATE
    id: UUID
    agent_id: UUID
    server_id: UUID


class RotateCredential(NewValue):
    """Replace a credential's value. The one before stays good at the fleet until the vault has the new one.

    The new one lives as long as the one before was meant to, unless `expires_at` says otherwise. Needs
    `mcp_server:use` of the actor too.
    """

    action: ClassVar[str] = Action.CREDENTIAL_ROTATE
    credential_id: UUID


class RevealCredential(Command):
    """Note that a minted value is shown, once, to be put into the foreign server that it is for.

    The edge shows it to whoever submitted this, and to nobody else ever. Needs `mcp_server:use` too.
    """

    action: ClassVar[str] = Action.CREDENTIAL_REVEAL
    credential_id: UUID


class DeleteCredential(Command):
    """Destroy a credential's value for good. The fleet refuses it from that moment; its row stays for the record."""

    action: ClassVar[str] = Action.CREDENTIAL_DELETE
    credential_id: UUID


def load_creates(commands: Sequence[CreateCredential], actor: Actor) -> list[Found]:
    # Locked: two at once make one.
    agents = queries.agents_for_change(actor, [command.agent_id for command in commands])
    servers = servers_for_read(actor, [command.server_id for command in commands])
    there = {(one.agent_id, one.server_id): one for having in credentials_of_many(agents).values() for one in having}
    further = delegating.needs_of_many(agents.values())
    first: dict[tuple[UUID, UUID], UUID] = {}  # the second of one set that is for the same is answered with the first
    found: list[Found] = []
    for command in commands:
        agent, server = agents.get(command.agent_id), servers.get(command.server_id)
        if agent is None or server is None:
            found.append(NotFound())
            continue
        pair = (agent.id, server.id)
        existing, id_ = there.get(pair), first.setdefault(pair, command.id)
        target = Target("credential", id_, server.name, agent.organization_id, agent.ou.path)
        needs = _giving(server, further[agent.id])
        found.append(Subject((agent, server, existing), existing.target() if existing else target, needs=needs))
    return found


@handles_all(CreateCredential, load=load_creates)
def create_credentials(
    commands: Sequence[CreateCredential], *, subjects: Sequence[Subject], actor: Actor
) -> list[Change]:
    having = credentials_of_many({subject.row[0].id for subject in subjects})
    organization_id = subjects[0].row[0].organization_id
    values = sealing.waiting_among(
        [command.sealed_id for command in commands], kind=SEALED, organization_id=organization_id
    )
    made: list[Credential] = []

    def create(place: int) -> Change:
        command, (agent, server, _) = commands[place], subjects[place].row
        others = having[agent.id]
        existing = next((one for one in others if one.server_id == server.id), None)
        if existing:
            return _repeated(command, existing)
        _check_new(command, agent, server, others)
        credential = _new(command, agent, server, values)
        made.append(credential)
        having[agent.id] = [*others, credential]
        return Change(credential, None, _described(credential))

    changes = each(len(commands), create)
    if made:
        sealing.take_all([one.sealed for one in made if one.sealed])
        Credential.objects.bulk_create(made)
        convergence.credentials_created(made)
    return changes


def _new(command: CreateCredential, agent: Agent, server: MCPServer, values: dict[UUID, Sealed]) -> Credential:
    value = values.pop(command.sealed_id, None)  # each is taken once
    if value is None:
        raise NotFound
    return Credential(
        id=command.id,
        organization_id=agent.organization_id,
        agent=agent,
        server=server,
        source=command.source,
        sealed=value,
        bearer_hash=command.bearer_hash,
        origin=_origin(server),
        expires_at=command.expires_at,
    )


def load_rotate(command: RotateCredential, actor: Actor) -> Subject:
    credential = credential_for_change(actor, command.credential_id)
    server = server_for_read(actor, credential.server_id)
    return Subject(credential, credential.target(), needs=_giving(server, delegating.needs(credential.agent)))


def load_one(command: RevealCredential, actor: Actor) -> Subject:
    credential = credential_for_change(actor, command.credential_id)
    server = server_for_read(actor, credential.server_id)
    return Subject(credential, credential.target(), needs=_use(server))


@handles(RotateCredential, load=load_rotate)
def rotate_credential(command: RotateCredential, *, subject: Subject, actor: Actor) -> Change:
    credential: Credential = subject.row
    _check_value(credential.server, command.source)
    _check_expiry(command.expires_at)
    if (credential.source, command.source) == (CredentialSource.GIVEN, CredentialSource.MINTED):
        raise Invalid("This credential is the server's own token. Give the new one.", field="token")
    before, old, now = _described(credential), credential.sealed, timezone.now()
    credential.earlier_hash = _still_good(credential, now)
    credential.expires_at = command.expires_at or _renewed(credential, now)
    credential.sealed = _taken(command.sealed_id, credential.organization_id)
    credential.bearer_hash = command.bearer_hash
    credential.source, credential.origin = command.source, _origin(credential.server)
    credential.rotated_at, credential.voided_at, credential.revealed_at = now, None, None
    credential.number, credential.generation = credential.number + 1, credential.generation + 1
    credential.save(update_fields=ROTATED)
    _destroy([old.pk] if old else [])
    convergence.credentials_changed([credential.id])
    return Change(credential, before, _described(credential))


# Not holdable: whoever approved it would have it replayed by a worker, which has nobody to show the value to.
@handles(RevealCredential, load=load_one, holdable=False)
def reveal_credential(command: RevealCredential, *, subject: Subject, actor: Actor) -> Change:
    credential: Credential = subject.row
    if credential.source != CredentialSource.MINTED or not credential.is_for_foreign:
        raise Conflict("Only a bearer that was minted here for a foreign server is ever shown.")
    if credential.revealed_at is not None:
        raise Conflict("This bearer was shown already. Rotate the credential to get another one.")
    if not bearers.is_good(credential, timezone.now()):
        raise Conflict("This bearer is no longer good. Rotate the credential to get another one.")
    credential.revealed_at, credential.generation = timezone.now(), credential.generation + 1
    credential.save(update_fields=["revealed_at", "generation"])
    return Change(credential, {"revealed": False}, {"revealed": True, "number": credential.number})


def load_deletes(commands: Sequence[DeleteCredential], actor: Actor) -> list[Found]:
    ids = [command.credential_id for command in commands]
    return subjects_in(credentials_for_change(actor, ids), ids)


@handles_all(DeleteCredential, load=load_deletes, holdable=False)
def delete_credentials(
    commands: Sequence[DeleteCredential], *, subjects: Sequence[Subject], actor: Actor
) -> list[Change]:
    credentials: list[Credential] = [subject.row for subject in subjects]
    changes = each(
        len(credentials),
        lambda place: Change(credentials[place], _described(credentials[place]), None),
        once=lambda place: credentials[place].id,
    )
    _end(credentials)
    return changes


def retire_credentials(which: Q) -> None:
    """Destroy those of the live credentials that the condition means: of some agents, or of some servers."""
    live = Credential.objects.filter(which, archived_at__isnull=True).order_by("pk")
    if ended := list(live.select_for_update()):
        _end(ended)


def _end(ended: Sequence[Credential]) -> None:
    """Destroy the values and keep the rows."""
    rows = Credential.objects.filter(pk__in=[credential.pk for credential in ended])
    values = [credential.sealed_id for credential in ended if credential.sealed_id]
    gone: dict[str, Any] = {"sealed": None, "bearer_hash": "", "earlier_hash": "", "archived_at": timezone.now()}
    rows.update(**gone, generation=F("generation") + 1)
    _destroy(values)
    convergence.credentials_ended(ended)


def _destroy(values: Sequence[UUID]) -> None:
    Sealed.objects.filter(pk__in=values).delete()


def _still_good(credential: Credential, now: datetime) -> str:
    """Return the hash that stays good beside the new one: what the vault has now, were there two rotations in a row.

    One that was no longer good does not become so again, and at a foreign server none is ours to judge.
    """
    if credential.is_for_foreign or not bearers.is_good(credential, now):
        return ""
    return credential.earlier_hash or credential.bearer_hash


def _renewed(credential: Credential, now: datetime) -> datetime | None:
    if credential.expires_at is None:
        return None
    return now + (credential.expires_at - (credential.rotated_at or credential.created_at))


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


def _check_new(command: CreateCredential, agent: Agent, server: MCPServer, others: Sequence[Credential]) -> None:
    """Raise `Invalid` for a value that does not fit, `Conflict` for what CMA's vault would refuse: one too many, or a
    second one for the same URL.
    """
    _check_value(server, command.source)
    _check_expiry(command.expires_at)
    if len(others) >= MAX_CREDENTIALS:
        raise Conflict(f"An agent has at most {MAX_CREDENTIALS} credentials, and {agent.name} has them. Delete one.")
    if any(endpoint_of(other.server) == endpoint_of(server) for other in others):
        raise Conflict("The agent has a credential for another registration of the same URL. Delete that one first.")


def _use(server: MCPServer) -> tuple[Need, ...]:
    return (Need(Action.MCP_SERVER_USE, server.target()),)


def _giving(server: MCPServer, further: tuple[Need, ...]) -> tuple[Need, ...]:
    """As whom an agent speaks to a server decides what it is told, which one that acts for people tells them: so giving
    it takes what every change of that agent takes.
    """
    return (*_use(server), *further)


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
