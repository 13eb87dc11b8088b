"""One batch against CMA: every job to its result, with bounded concurrency, and no database anywhere near.

    not wanted        archive or delete what is there
    nothing there     adopt what a lost answer left behind, else create
    unsure            read first; equal is done (but for what holds secrets), archived is vanished
    else              update, always with the version it rests on
    afterwards        the answer, projected, must be the document that was sent

A batch is bounded in time: after `START_SECONDS` nothing new is started, and once CMA does not answer or says 429,
nothing more of that account. What was not started is simply due again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from uuid import UUID

from powerloom.cma.client import CMA
from powerloom.cma.errors import AccountProblem, CMAError, Missing, Unavailable
from powerloom.cma.types import JSON
from powerloom.kernel.canonical import digest
from powerloom.reconcile.account import Account
from powerloom.reconcile.diff import diff
from powerloom.reconcile.driver import Calls, Driver, Job
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.registry import drivers
from powerloom.reconcile.result import (
    TICK_SECONDS,
    Condition,
    Done,
    Failed,
    Later,
    Odd,
    Remote,
    Result,
    Vanished,
    failure,
)

log = logging.getLogger(__name__)

START_SECONDS = 2.0  # so that a revocation never waits longer for a batch of somebody else's
CALL_SECONDS = 30.0
JOB_SECONDS = 45.0  # read, look and write; well inside the lease
GONE = digest(None)


@dataclass
class Outcome:
    """What came of a batch: each job's result, the calls made by account and class, and how long a class is blocked.

    `is_down`: some account did not answer at all.
    """

    results: list[tuple[Job, Result]] = field(default_factory=list)
    spent: dict[Account, Counter[str]] = field(default_factory=dict)
    blocked: dict[Account, dict[str, float]] = field(default_factory=dict)
    is_down: bool = False


async def push(batch: Mapping[Account, Sequence[Job]], *, concurrency: int) -> Outcome:
    """Push the jobs of each account with a client of its own; never raises for a single job."""
    outcome = Outcome()
    async with AsyncExitStack() as stack:
        lines = []
        for account, jobs in batch.items():
            client = CMA(base_url=account.url, api_key=account.key, timeout=CALL_SECONDS)
            lines.append((account, Line(Calls(await stack.enter_async_context(client))), jobs))
        await asyncio.gather(*(line.run(jobs, concurrency) for _, line, jobs in lines))
    for account, line, _ in lines:
        outcome.results += line.results
        outcome.spent[account] = line.calls.spent
        outcome.blocked[account] = line.blocked
        outcome.is_down |= line.is_down
    return outcome


class Line:
    """The jobs of one account on their way."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.results: list[tuple[Job, Result]] = []
        self.blocked: dict[str, float] = {}
        self._found: dict[tuple[str, UUID], JSON] = {}
        self.is_down = False
        self._is_refused = False

    async def run(self, jobs: Sequence[Job], concurrency: int) -> None:
        """Bring every job to a result."""
        queue = iter(await self._looked_for(jobs))
        closes_at = asyncio.get_running_loop().time() + START_SECONDS
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(jobs))):
                group.create_task(self._work(queue, closes_at))

    async def _work(self, queue: Iterator[Job], closes_at: float) -> None:
        for job in queue:
            if asyncio.get_running_loop().time() > closes_at:
                self.results.append((job, Later()))
            elif held := self._held(job):
                self.results.append((job, held))
            else:
                self.results.append((job, await self._result(job)))

    def _held(self, job: Job) -> Later | None:
        """Return why this job need not even try."""
        driver = drivers()[job.state.kind]
        seconds = self.blocked.get(driver.others if job.state.remote_id else driver.creates)
        if seconds is None:
            return Later(TICK_SECONDS) if self.is_down or self._is_refused else None
        return Later(max(seconds, TICK_SECONDS))

    async def _looked_for(self, jobs: Sequence[Job]) -> list[Job]:
        """Look for what lost answers left behind, once a kind; jobs that could not be looked for have their
        result already.
        """
        ready = [job for job in jobs if not job.must_look]
        for kind, driver in drivers().items():
            doubtful = [job for job in jobs if job.must_look and job.state.kind == kind]
            if doubtful and await self._look(driver, doubtful):
                ready += doubtful
        ready.sort(key=lambda job: job.state.urgency)
        return ready

    async def _look(self, driver: Driver, jobs: list[Job]) -> bool:
        try:
            async with asyncio.timeout(JOB_SECONDS):
                found = await driver.find(self.calls, jobs)
        except (CMAError, TimeoutError) as error:
            result = self._failure(jobs[0], error)
            lost = Failed(result.condition, result.sentence, is_lost=True) if isinstance(result, Failed) else result
            self.results += [(job, lost) for job in jobs]
            return False
        self._found.update({(driver.kind, id_): answer for id_, answer in found.items()})
        return True

    async def _result(self, job: Job) -> Result:
        try:
            async with asyncio.timeout(JOB_SECONDS):
                return await self._converge(job)
        except (CMAError, TimeoutError) as error:
            return self._failure(job, error)
        except Exception as error:
            # A defect of ours in one object's document must not stop the others; the words of the error may hold
            # secrets.
            about = {"kind": job.state.kind, "object": str(job.state.object_id), "error_type": type(error).__name__}
            log.exception("A driver failed", extra=about, exc_info=not drivers()[job.state.kind].holds_secrets)
            return Failed(Condition.DEFECT, f"Powerloom could not make the call ({type(error).__name__})", is_lost=True)

    def _failure(self, job: Job, error: CMAError | TimeoutError) -> Result:
        if isinstance(error, TimeoutError):
            error = Unavailable("no answer in time", answer_lost=True)
        driver = drivers()[job.state.kind]
        if isinstance(error, Unavailable) and error.status == 429:
            self.blocked[driver.others if job.state.remote_id else driver.creates] = error.retry_after or 0.0
        self.is_down |= isinstance(error, Unavailable) and error.status is None
        self._is_refused |= isinstance(error, AccountProblem)
        result = failure(error, held_a_secret=driver.holds_secrets)
        if isinstance(result, Failed) and (job.state.kind, job.state.object_id) in self._found:
            return replace(result, is_lost=True)  # it is there, and only its stamp tells: look again before a create
        return result

    async def _converge(self, job: Job) -> Result:
        driver = drivers()[job.state.kind]
        found = self._found.get((job.state.kind, job.state.object_id))
        remote_id = driver.remote(found).id if found else job.state.remote_id
        try:
            if job.wanted.document is None:
                return await self._remove(driver, job, remote_id)
            if not remote_id:
                return judge(driver, job, await driver.create(self.calls, job))
            return await self._adjust(driver, job, remote_id, found)
        except Missing:
            if remote_id:
                return Vanished()
            raise

    async def _adjust(self, driver: Driver, job: Job, remote_id: str, found: JSON | None) -> Result:
        if found is None and job.state.actual_hash:
            return judge(driver, job, await driver.update(self.calls, job, known(job.state)))
        answer = found or await driver.read(self.calls, job, remote_id)
        remote = driver.remote(answer)
        if remote.is_archived:
            return Vanished()
        seen = judge(driver, job, answer)
        if isinstance(seen, Done) and not driver.holds_secrets:
            return seen
        return judge(driver, job, await driver.update(self.calls, job, remote))

    async def _remove(self, driver: Driver, job: Job, remote_id: str) -> Done:
        if remote_id:
            try:
                await driver.remove(self.calls, job, remote_id)
            except Missing:
                log.info("Already gone", extra={"kind": job.state.kind, "remote": remote_id})
        return Done(GONE, is_gone=True)


def judge(driver: Driver, job: Job, answer: JSON) -> Done | Odd:
    """Compare in full: is what CMA shows the document that is wanted?"""
    document = driver.project(answer, job)
    actual_hash = digest(document)
    if actual_hash == job.desired_hash:
        return Done(job.desired_hash, driver.remote(answer), document, answer)
    differences = diff(job.wanted.document, document)
    return Odd(job.desired_hash, actual_hash, driver.remote(answer), document, differences, answer)


def known(state: SyncState) -> Remote:
    """Return what we believe CMA has, from the row."""
    return Remote(state.remote_id, state.remote_version, state.remote_updated_at)
