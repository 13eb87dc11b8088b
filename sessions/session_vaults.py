"""A vault for one session: its bearer is the session's alone, and it wins because it stands before the agent's own.

    vault (stamped, adopted after a lost answer) → a fresh bearer, kept as its hash → one credential for each server
    the session is over → the vault is deleted, with all in it

The bearer is made right before it is sent and is nowhere else: whoever goes on after a lost answer makes another one,
as long as there is no session. That nobody deletes a vault in time opens nothing: what a bearer opens is asked of the
session at each call.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, Q
from django.utils import timezone

from accounts import session_bearers
from accounts.models import Delegation
from agents import delegating
from agents.endpoints import endpoint_of
from agents.models import AgentVersion
from agents.spec import AgentSpec
from powerloom.cma.client import CMA
from powerloom.cma.errors import AccountProblem, CMAError, Conflict, Missing, Unavailable
from powerloom.reconcile import stamps
from powerloom.reconcile.account import Account, account_of
from powerloom.reconcile.stamps import Stamp
from powerloom.web.threads import DatabaseThread
from sessions.models import ENDED, AgentSession

KIND = "session_vault"
NAME = "powerloom session"
CLOCKS_DIFFER = timedelta(minutes=10)
BATCH = 50  # of one account, at each sweep
ASKED_AGAIN = timedelta(minutes=5)


@dataclass(frozen=True)
class Wanted:
    """A session's vault as the rows know it; `urls` are those of Powerloom itself as the session's agent has it."""

    delegation_id: UUID
    stamp: str
    vault_id: str
    attempted_at: datetime | None
    urls: tuple[str, ...] = ()


async def prepared(cma: CMA, desk: DatabaseThread, session_id: UUID) -> str:
    """Return CMA's id of the session's vault, with a bearer in it that nobody has had before. For a session that CMA
    does not have yet.
    """
    wanted = await desk.run(_wanted, session_id)
    vault_id = await _vault(cma, desk, wanted)
    bearer, bearer_hash = session_bearers.mint()
    await desk.run(_note, wanted.delegation_id, cma_vault_id=vault_id, bearer_hash=bearer_hash)
    try:
        for url in wanted.urls:
            await _put(cma, vault_id, url, bearer)
    except Missing:
        await desk.run(_note, wanted.delegation_id, cma_vault_id="", vault_attempted_at=None)
        raise
    return vault_id


def discard_all() -> int:
    """Delete the vaults of sessions that are over. Returns how many are gone; what CMA does not take now is asked for
    again in a while, behind those that were not asked for yet. No account waits for another.
    """
    over = AgentSession.objects.filter(Q(status__in=ENDED) | Q(deleted_at__isnull=False)).values("pk")
    is_due = Q(vault_due_at__isnull=True) | Q(vault_due_at__lte=timezone.now())
    rows = Delegation.objects.filter(is_due, vault_attempted_at__isnull=False, session_id__in=over)
    whose: dict[Account, list[UUID]] = defaultdict(list)
    for organization_id in rows.order_by().values_list("organization_id", flat=True).distinct():
        whose[account_of(organization_id)].append(organization_id)
    if not whose:
        return 0
    new_ones_first = rows.order_by(F("vault_due_at").asc(nulls_first=True), "pk")
    batches = {
        account: [_row(row) for row in new_ones_first.filter(organization_id__in=ids)[:BATCH]]
        for account, ids in whose.items()
    }
    gone = asyncio.run(_discard_each(batches))
    refused = {wanted.delegation_id for batch in batches.values() for wanted in batch} - gone
    Delegation.objects.filter(pk__in=gone).update(cma_vault_id="", vault_attempted_at=None, vault_due_at=None)
    Delegation.objects.filter(pk__in=refused).update(vault_due_at=timezone.now() + ASKED_AGAIN)
    return len(gone)


async def _discard_each(batches: Mapping[Account, list[Wanted]]) -> set[UUID]:
    found = await asyncio.gather(*(_discard(account, several) for account, several in batches.items()))
    return set().union(*found)


async def _discard(account: Account, several: list[Wanted]) -> set[UUID]:
    """Return those of one account's that are gone, up to where it answers no more."""
    gone = set()
    async with CMA(base_url=account.url, api_key=account.key) as cma:
        for wanted in several:
            try:
                vault_id = wanted.vault_id or await _lost(cma, wanted)
                if vault_id:
                    await cma.vaults.delete(vault_id)
            except Missing:
                pass
            except (AccountProblem, Unavailable):
                break
            except CMAError:
                continue
            gone.add(wanted.delegation_id)
    return gone


async def _vault(cma: CMA, desk: DatabaseThread, wanted: Wanted) -> str:
    if wanted.vault_id:
        return wanted.vault_id
    if wanted.attempted_at and (lost := await _lost(cma, wanted)):
        return lost
    await desk.run(_note, wanted.delegation_id, vault_attempted_at=timezone.now())
    made = await cma.vaults.create({"display_name": NAME, "metadata": {stamps.KEY: wanted.stamp}})
    return str(made["id"])


async def _lost(cma: CMA, wanted: Wanted) -> str | None:
    """Return the id of the vault whose answer was lost, if CMA has it."""
    assert wanted.attempted_at is not None, "nothing was attempted"
    page = None
    while True:
        found = await cma.vaults.list(page=page)
        for vault in found.data:
            if vault["metadata"].get(stamps.KEY) == wanted.stamp:
                return str(vault["id"])
        page = found.next_page
        made = [datetime.fromisoformat(vault["created_at"]) for vault in found.data]
        if page is None or (made and min(made) < wanted.attempted_at - CLOCKS_DIFFER):
            return None


async def _put(cma: CMA, vault_id: str, url: str, bearer: str) -> None:
    """Set the vault's credential for the URL; one from before a lost answer is given the new bearer."""
    body = {"display_name": NAME, "auth": {"type": "static_bearer", "mcp_server_url": url, "token": bearer}}
    try:
        await cma.credentials.create(vault_id, body)
    except Conflict:
        known = await cma.credentials.list(vault_id)
        for one in known.data:
            if one["auth"].get("mcp_server_url") == url:
                auth = {"type": "static_bearer", "token": bearer}
                await cma.credentials.update(vault_id, one["id"], {"auth": auth})
                return
        raise


def _wanted(session_id: UUID) -> Wanted:
    session = AgentSession.objects.only("agent_id", "agent_version").get(pk=session_id)
    version = AgentVersion.objects.get(agent_id=session.agent_id, number=session.agent_version)
    servers = delegating.meta_servers(AgentSpec.model_validate(version.spec).server_ids())
    urls = tuple(endpoint_of(server) for server in servers)
    return _row(Delegation.objects.get(session_id=session_id), urls)


def _row(row: Delegation, urls: tuple[str, ...] = ()) -> Wanted:
    stamp = stamps.stamp(KIND, Stamp(row.organization_id, row.pk))
    return Wanted(row.pk, stamp, row.cma_vault_id, row.vault_attempted_at, urls)


def _note(delegation_id: UUID, **columns: str | datetime | None) -> None:
    Delegation.objects.filter(pk=delegation_id).update(**columns)
