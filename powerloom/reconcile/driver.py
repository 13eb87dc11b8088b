"""What the engine must know about one kind of thing. A further kind is one driver: one file, named in the settings.

    load        rows of ours → what is wanted, constant queries for any number
    document    pure JSON of what is wanted: fully explicit, dependencies by our ids and content hashes, no stamp in it
    body        document → CMA's words, with CMA's ids of the dependencies
    project     CMA's answer → the same document, so that what was pushed hashes the same
    find        looks for our stamp, before a create whose earlier answer may be lost

Everything async here talks to CMA and never to the database; everything else never talks to CMA.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar  # documents and answers are JSON
from uuid import UUID

from powerloom.cma.client import CMA
from powerloom.cma.types import JSON, Page
from powerloom.reconcile import stamps
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.result import Done, Odd, Remote
from powerloom.reconcile.stamps import Stamp

T = TypeVar("T")

CREATE, OTHER, ENVIRONMENTS = "create", "other", "environments"
"""The classes in which CMA counts calls."""

ENVIRONMENTS_AT_ONCE = 5
LOST_WITHIN = timedelta(days=1)
"""How far the clocks of CMA and of whoever noted the attempt may differ, generously."""


@dataclass(frozen=True)
class Need:
    """A thing of ours that must be on CMA first. `id` is None for one that does not exist even here yet."""

    kind: str
    id: UUID | None
    what: str  # completes "Waiting for …"


@dataclass(frozen=True)
class Wanted:
    """What one object should be. `document` is None when it should not be there.

    `fault` says why no document could be made of it; `is_deferred` asks for a later turn (too much to hold in memory at
    once). `extra` is the driver's own: what its calls need beside the document.
    """

    id: UUID
    label: str
    document: JSON | None
    needs: tuple[Need, ...] = ()
    extra: Any = None
    fault: str = ""
    is_deferred: bool = False


@dataclass(frozen=True)
class Job:
    """One row's turn. `remotes` are CMA's names of its needs; `must_look`: an earlier create's answer may be lost."""

    state: SyncState
    wanted: Wanted
    desired_hash: str
    stamp: str = ""
    remotes: Mapping[tuple[str, UUID], Remote] = field(default_factory=dict)
    must_look: bool = False
    attempted_at: datetime | None = None

    def remote_id(self, kind: str, id: UUID) -> str:
        """CMA's id of a need."""
        return self.remotes[kind, id].id

    def ours(self) -> dict[str, tuple[str, UUID]]:
        """Our names of the needs, by CMA's id."""
        return {remote.id: name for name, remote in self.remotes.items()}


class Calls:
    """A client of one account that counts what it is used for, and keeps CMA's limit of calls at once."""

    def __init__(self, cma: CMA) -> None:
        self.cma = cma
        self.spent: Counter[str] = Counter()
        self._environments = asyncio.Semaphore(ENVIRONMENTS_AT_ONCE)

    async def __call__(self, call_class: str, call: Awaitable[T]) -> T:
        """Make one call, counted whether it succeeds or not."""
        self.spent[call_class] += 1
        async with self._environments if call_class == ENVIRONMENTS else nullcontext():
            return await call


class Driver(ABC):
    """One kind. Stateless: one instance serves every worker."""

    kind: ClassVar[str]
    creates: ClassVar[str] = CREATE
    others: ClassVar[str] = OTHER
    parent_kind: ClassVar[str | None] = None  # set when CMA lists these per parent
    # A call carries a value that cannot be read back: whoever is unsure sends it again, and the words of an error are
    # not kept, because they may repeat it.
    holds_secrets: ClassVar[bool] = False

    # Ours

    @abstractmethod
    def load(self, states: Sequence[SyncState]) -> dict[UUID, Wanted]:
        """Return what is wanted of each, by object id; one that is absent from the answer no longer exists at all."""

    def recorded(self, records: Sequence[tuple[Job, Done | Odd]]) -> None:  # noqa: B027 - most kinds keep nothing else
        """Called in the recording transaction with what CMA has now, for columns of the driver's own tables."""

    def dependents(self, ids: Sequence[UUID]) -> dict[str, list[UUID]]:
        """Return, by kind, what names these objects by CMA's id: asked when such an id was replaced by a new one."""
        return {}

    def children(self, parent_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
        """Return the objects of this kind of each parent, for kinds that are listed per parent."""
        return {}

    # Between

    @abstractmethod
    def project(self, answer: JSON, job: Job) -> JSON:
        """Return CMA's answer as a document. Foreign metadata and what we never send stay out of it. Pure."""

    def remote(self, answer: JSON) -> Remote:
        """Return the facts of an answer."""
        return Remote(
            id=answer["id"],
            version=str(answer.get("version", "")),
            updated_at=answer.get("updated_at", ""),
            is_archived=answer.get("archived_at") is not None,
        )

    @abstractmethod
    def stamped(self, answer: JSON) -> Stamp | None:
        """Return whose thing this is, when it carries our mark."""

    # CMA's

    @abstractmethod
    async def create(self, calls: Calls, job: Job) -> JSON: ...

    @abstractmethod
    async def read(self, calls: Calls, job: Job, remote_id: str) -> JSON: ...

    @abstractmethod
    async def update(self, calls: Calls, job: Job, remote: Remote) -> JSON: ...

    @abstractmethod
    async def remove(self, calls: Calls, job: Job, remote_id: str) -> None:
        """Take it out of use on CMA."""

    @abstractmethod
    async def page(self, calls: Calls, cursor: str | None, parent: str) -> Page:
        """Return one page, as large as CMA allows, of what is live; `parent` is CMA's id for kinds listed per
        parent.
        """

    async def recent(self, calls: Calls, cursor: str | None, since: datetime | None) -> Page:
        """As `page`, of what was made since then, for kinds that CMA can list so."""
        return await self.page(calls, cursor, "")

    async def find(self, calls: Calls, jobs: Sequence[Job]) -> dict[UUID, JSON]:
        """Return, by object id, those of the jobs' objects that CMA has already; the oldest, should there be two."""
        wanted = {job.state.object_id for job in jobs}
        since = min((job.attempted_at for job in jobs if job.attempted_at), default=None)
        found: dict[UUID, JSON] = {}
        cursor: str | None = None
        while True:
            page = await self.recent(calls, cursor, since and since - LOST_WITHIN)
            for answer in page.data:
                stamped = self.stamped(answer)
                if stamped and stamped.object_id in wanted:
                    found[stamped.object_id] = _older(found.get(stamped.object_id), answer)
            if not page.next_page:
                return found
            cursor = page.next_page


class DocumentDriver(Driver):
    """A kind with metadata, which carries the stamp: agents, environments, vaults.

    Metadata keys of others are kept: CMA merges what is sent, and only keys that were once ours are taken away.
    """

    resource: ClassVar[str]
    has_versions: ClassVar[bool] = False

    @abstractmethod
    def body(self, job: Job) -> JSON:
        """Return the document in CMA's words, without metadata. Pure."""

    def payload(self, job: Job) -> JSON:
        """Return what a create sends. Pure."""
        return {**self.body(job), "metadata": {**_metadata(job), stamps.KEY: job.stamp}}

    def changes(self, job: Job, remote: Remote) -> JSON:
        """Return what an update sends: everything, and the version it rests on. Pure."""
        gone = dict.fromkeys(own_keys(job) - set(_metadata(job)))
        metadata = {**gone, **_metadata(job), stamps.KEY: job.stamp}
        version = {"version": int(remote.version)} if self.has_versions else {}
        return {**self.body(job), "metadata": metadata, **version}

    def stamped(self, answer: JSON) -> Stamp | None:
        return stamps.read(self.kind, answer.get("metadata", {}).get(stamps.KEY, ""))

    async def create(self, calls: Calls, job: Job) -> JSON:
        answer: JSON = await calls(self.creates, self._resource(calls).create(self.payload(job)))
        return answer

    async def read(self, calls: Calls, job: Job, remote_id: str) -> JSON:
        answer: JSON = await calls(self.others, self._resource(calls).retrieve(remote_id))
        return answer

    async def update(self, calls: Calls, job: Job, remote: Remote) -> JSON:
        changes = self.changes(job, remote)
        answer: JSON = await calls(self.others, self._resource(calls).update(remote.id, changes))
        return answer

    async def remove(self, calls: Calls, job: Job, remote_id: str) -> None:
        await calls(self.others, self._resource(calls).archive(remote_id))

    async def page(self, calls: Calls, cursor: str | None, parent: str) -> Page:
        page: Page = await calls(self.others, self._resource(calls).list(limit=100, page=cursor))
        return page

    def _resource(self, calls: Calls) -> Any:  # the client's resources share verbs, not a type
        return getattr(calls.cma, self.resource)


def own_keys(job: Job) -> set[str]:
    """Return the metadata keys that are ours to judge: those wanted now and those pushed last."""
    before = job.state.actual or {}
    return {*_metadata(job), *before.get("metadata", {})}


def own_metadata(answer: JSON, job: Job) -> JSON:
    """Return the part of an answer's metadata that is ours."""
    mine = own_keys(job)
    return {key: value for key, value in answer["metadata"].items() if key in mine}


def _metadata(job: Job) -> dict[str, str]:
    metadata: dict[str, str] = (job.wanted.document or {}).get("metadata", {})
    return metadata


def _older(one: JSON | None, other: JSON) -> JSON:
    if one is None:
        return other
    return min(one, other, key=lambda answer: str(answer.get("created_at", "")))
