"""From leased rows to jobs: what is wanted of each, whether its dependencies are there, and whether there is anything
to do.

A constant number of queries for each kind in the batch, and one for all dependencies together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from uuid import UUID

from django.db.models import Q

from powerloom.kernel.canonical import digest
from powerloom.reconcile import stamps
from powerloom.reconcile.account import Account, account_of
from powerloom.reconcile.claims import Claim
from powerloom.reconcile.driver import Job, Need, Wanted
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.push import GONE
from powerloom.reconcile.registry import drivers
from powerloom.reconcile.result import Condition, Done, Failed, Later, Remote, Result, Waits
from powerloom.reconcile.stamps import Stamp

Name = tuple[str, UUID]


@dataclass
class Prepared:
    """The jobs for CMA by account, and the results of those that need no call."""

    jobs: dict[Account, list[Job]] = field(default_factory=lambda: defaultdict(list))
    settled: list[tuple[Job, Result]] = field(default_factory=list)


def prepare(claims: Sequence[Claim]) -> Prepared:
    """Judge every claimed row."""
    wanted = load(claim.state for claim in claims)
    arrived = needed(wanted.values())
    prepared = Prepared()
    for claim in claims:
        must_look = claim.attempted_at is not None and not claim.state.remote_id
        job = job_of(claim.state, wanted[claim.state.pk], arrived)
        job = replace(job, must_look=must_look, attempted_at=claim.attempted_at)
        if result := _without_a_call(job, arrived):
            prepared.settled.append((job, result))
        else:
            prepared.jobs[account_of(claim.state.organization_id)].append(job)
    return prepared


def load(states: Iterable[SyncState]) -> dict[UUID, Wanted]:
    """Return what is wanted, by the id of the row; an object that is no more is wanted no more."""
    by_kind: dict[str, list[SyncState]] = defaultdict(list)
    for state in states:
        by_kind[state.kind].append(state)
    found: dict[UUID, Wanted] = {}
    for kind, rows in by_kind.items():
        loaded = drivers()[kind].load(rows)
        for row in rows:
            found[row.pk] = loaded.get(row.object_id) or Wanted(row.object_id, "", None)
    return found


def needed(wanted: Iterable[Wanted]) -> dict[Name, SyncState]:
    """Return the rows of all dependencies, by kind and id; one query."""
    ids: dict[str, set[UUID]] = defaultdict(set)
    for one in wanted:
        for need in one.needs:
            if need.id is not None:
                ids[need.kind].add(need.id)
    if not ids:
        return {}
    terms = reduce(or_, (Q(kind=kind, object_id__in=members) for kind, members in ids.items()))
    rows = SyncState.objects.filter(terms).defer("actual", "drift")
    return {(row.kind, row.object_id): row for row in rows}


def job_of(state: SyncState, wanted: Wanted, arrived: Mapping[Name, SyncState]) -> Job:
    """Return the row's job, with CMA's names of those dependencies that are there."""
    names = [(need.kind, need.id) for need in wanted.needs if need.id is not None and is_there(need, arrived)]
    return Job(
        state,
        wanted,
        desired_hash=GONE if wanted.document is None else digest(wanted.document),
        stamp=stamps.stamp(state.kind, Stamp(state.organization_id, state.object_id)),
        remotes={name: Remote(arrived[name].remote_id, arrived[name].remote_version) for name in names},
    )


def is_there(need: Need, arrived: Mapping[Name, SyncState]) -> bool:
    """Tell whether CMA has the dependency: it has an id there and was seen to be as wanted at least once."""
    row = arrived.get((need.kind, need.id)) if need.id else None
    return row is not None and bool(row.remote_id) and row.synced_at is not None


def _without_a_call(job: Job, arrived: Mapping[Name, SyncState]) -> Result | None:
    if job.wanted.fault:
        return Failed(Condition.DEFECT, job.wanted.fault, is_permanent=True)
    if job.state.actual_hash == job.desired_hash:
        return Done(job.desired_hash, is_gone=job.desired_hash == GONE)
    if job.wanted.document is None:
        return None if job.state.remote_id or job.must_look else Done(GONE, is_gone=True)
    for need in job.wanted.needs:
        if not is_there(need, arrived):
            return _wait(need, arrived)
    return Later() if job.wanted.is_deferred else None


def _wait(need: Need, arrived: Mapping[Name, SyncState]) -> Waits:
    row = arrived.get((need.kind, need.id)) if need.id else None
    return Waits(need.what, need.id, is_parked=row is not None and row.parked_at is not None)
