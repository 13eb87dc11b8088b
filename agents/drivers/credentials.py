"""Credentials: one `static_bearer` of the agent's vault for each server that the agent has and may use.

secret     only in the two calls that set it, opened right before them; never in a document, hash, log or error
number     of the value, in the metadata: a rotation is a change of the document, though the value is not in it
URL        CMA never changes it: what is for another URL is deleted and made anew
place      a vault has one credential a URL: what else stands there in a vault of ours gives way
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from django.utils import timezone

from accounts import sealing
from accounts.models import Sealed
from agents import bearers
from agents.endpoints import endpoint_of
from agents.kinds import SyncKind
from agents.models import AgentMCPServer, Credential, WithheldServer
from powerloom.cma.errors import Conflict, Missing
from powerloom.cma.types import JSON, Page
from powerloom.reconcile.driver import Calls, DocumentDriver, Job, Need, Wanted, own_metadata
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.result import Done, Odd, Remote

NUMBER = "powerloom_number"

Pair = tuple[UUID, UUID]
"""An agent and one of its servers."""


@dataclass(frozen=True)
class Value:
    """Where a credential's calls find its value, still sealed, and the vault it goes into."""

    agent_id: UUID
    sealed: Sealed | None = field(repr=False)

    async def opened(self) -> str:
        """Return the value. On a thread, because the master key may have to come over the network."""
        assert self.sealed is not None, "only a credential without a value has none, and it is not wanted"
        return await asyncio.to_thread(sealing.unseal, self.sealed)


class CredentialDriver(DocumentDriver):
    """One agent's bearer for one server."""

    kind: ClassVar[str] = SyncKind.CREDENTIAL
    resource: ClassVar[str] = "credentials"
    parent_kind: ClassVar[str | None] = SyncKind.VAULT
    holds_secrets: ClassVar[bool] = True

    def load(self, states: Sequence[SyncState]) -> dict[UUID, Wanted]:
        rows = Credential.objects.filter(pk__in=[state.object_id for state in states])
        credentials = list(rows.select_related("agent", "server", "sealed"))
        lent, now = _lent({row.agent_id for row in credentials}), timezone.now()
        return {row.pk: wanted(row, is_lent=(row.agent_id, row.server_id) in lent, now=now) for row in credentials}

    def recorded(self, records: Sequence[tuple[Job, Done | Odd]]) -> None:
        """Once the vault has a value, or has none at all, the one before it opens nothing any more."""
        for job, result in records:
            if isinstance(result, Done):
                rows = Credential.objects.filter(pk=job.wanted.id).exclude(earlier_hash="")
                number = (job.wanted.document or {}).get("metadata", {}).get(NUMBER)
                (rows if number is None else rows.filter(number=int(number))).update(earlier_hash="")

    def children(self, parent_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
        found: dict[UUID, list[UUID]] = {}
        live = Credential.objects.filter(agent__in=parent_ids, archived_at__isnull=True)
        for agent_id, pk in live.values_list("agent_id", "pk"):
            found.setdefault(agent_id, []).append(pk)
        return found

    def body(self, job: Job) -> JSON:
        return {"display_name": (job.wanted.document or {})["name"]}

    def project(self, answer: JSON, job: Job) -> JSON:
        """A vault, or a kind of secret, that is not the one we sent stays as CMA names it, so that it shows."""
        auth = answer["auth"]
        _, vault = job.ours().get(answer["vault_id"], ("", answer["vault_id"]))
        kind = {} if auth["type"] == "static_bearer" else {"type": auth["type"]}
        return {
            "vault": str(vault),
            "url": auth.get("mcp_server_url"),
            "name": answer["display_name"],
            "metadata": own_metadata(answer, job),
            **kind,
        }

    async def create(self, calls: Calls, job: Job) -> JSON:
        try:
            return await self._create(calls, job)
        except Conflict:
            await self._make_place(calls, job)
            return await self._create(calls, job)

    async def read(self, calls: Calls, job: Job, remote_id: str) -> JSON:
        return await calls(self.others, calls.cma.credentials.retrieve(_vault(job), remote_id))

    async def update(self, calls: Calls, job: Job, remote: Remote) -> JSON:
        seen = job.state.actual or self.project(await self.read(calls, job, remote.id), job)
        if seen["url"] != _url(job):
            await calls(self.others, calls.cma.credentials.delete(_vault(job), remote.id))
            return await self.create(calls, job)
        auth = {"type": "static_bearer", "token": await job.wanted.extra.opened()}
        body = {**self.changes(job, remote), "auth": auth}
        return await calls(self.others, calls.cma.credentials.update(_vault(job), remote.id, body))

    async def remove(self, calls: Calls, job: Job, remote_id: str) -> None:
        """Delete it, so that nothing of it is left; a vault that is gone took it along."""
        await calls(self.others, calls.cma.credentials.delete(_vault(job), remote_id))

    async def page(self, calls: Calls, cursor: str | None, parent: str) -> Page:
        return await calls(self.others, calls.cma.credentials.list(parent, page=cursor))

    async def find(self, calls: Calls, jobs: Sequence[Job]) -> dict[UUID, JSON]:
        """Look into the vaults of these jobs; one that is not there holds nothing."""
        wanted = {job.wanted.id for job in jobs}
        found: dict[UUID, JSON] = {}
        for vault in {_vault(job) for job in jobs if job.remotes}:
            for answer in await self._all(calls, vault):
                stamped = self.stamped(answer)
                if stamped and stamped.object_id in wanted:
                    found[stamped.object_id] = answer
        return found

    async def _create(self, calls: Calls, job: Job) -> JSON:
        auth = {"type": "static_bearer", "mcp_server_url": _url(job), "token": await job.wanted.extra.opened()}
        body = {**self.payload(job), "auth": auth}
        return await calls(self.creates, calls.cma.credentials.create(_vault(job), body))

    async def _make_place(self, calls: Calls, job: Job) -> None:
        for answer in await self._all(calls, _vault(job)):
            if answer["auth"].get("mcp_server_url") == _url(job):
                await calls(self.others, calls.cma.credentials.delete(_vault(job), answer["id"]))

    async def _all(self, calls: Calls, vault: str) -> list[JSON]:
        answers: list[JSON] = []
        cursor: str | None = None
        while True:
            page = await self.page(calls, cursor, vault)
            answers += page.data
            if page.next_page is None:
                return answers
            cursor = page.next_page


def wanted(credential: Credential, *, is_lent: bool, now: datetime) -> Wanted:
    """Return what should stand in the vault. `is_lent`: the server is attached and not withheld. Pure."""
    server, agent = credential.server, credential.agent
    needs = (Need(SyncKind.VAULT, agent.pk, f"the vault of {agent.name}"),)
    ended = (credential, agent, server)
    is_wanted = is_lent and all(one.archived_at is None for one in ended) and bearers.is_good(credential, now)
    document: JSON = {
        "vault": str(agent.pk),
        "url": endpoint_of(server),
        "name": server.name,
        "metadata": {NUMBER: str(credential.number)},
    }
    value = Value(agent.pk, credential.sealed)
    return Wanted(credential.pk, f"credential for {server.name}", document if is_wanted else None, needs, extra=value)


def _lent(agents: Iterable[UUID]) -> set[Pair]:
    """Return which servers these agents have and may use; two queries."""
    attached = AgentMCPServer.objects.filter(agent__in=agents).values_list("agent_id", "server_id")
    withheld = WithheldServer.objects.filter(agent__in=agents).values_list("agent_id", "server_id")
    return set(attached) - set(withheld)


def _vault(job: Job) -> str:
    """Return CMA's id of the agent's vault. Raises `Missing`: whatever was in one that is gone is gone too."""
    remote = job.remotes.get((SyncKind.VAULT, job.wanted.extra.agent_id)) if job.wanted.extra else None
    if remote is None:
        raise Missing("the agent has no vault on the runtime")
    return remote.id


def _url(job: Job) -> str:
    url: str = (job.wanted.document or {})["url"]
    return url
