"""Looking at MCP servers: once before a registration, again on a schedule and on demand. Writes what was seen, and
nothing that is wanted.

A handshake never runs inside a transaction. A worker takes a server by moving its due time ahead (compare-and-set), so
two workers look at it once, and one that dies leaves it due again; what it saw is kept only if the server is still at
the address that was asked. Without anything due a look costs one query.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import BoundedSemaphore
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts import sealing
from accounts.egress import way_of
from agents import pins, staging
from agents.endpoints import origin_of
from agents.handshakes import Handshake, HandshakeFailed, shake
from agents.models import Credential, CredentialSource, Discovery, MCPServer, ServerState
from powerloom.kernel.envelope import KeyMissing, Unreadable
from powerloom.kernel.errors import TooMany
from powerloom.kernel.ids import new_id
from powerloom.web import egress
from powerloom.web.egress import Way

EVERY = timedelta(minutes=15)
SOONEST = timedelta(minutes=1)  # after a failure, doubled with each further one
LATEST = timedelta(hours=2)
LEASE = timedelta(minutes=2)
MOST_AT_ONCE = 20
MOST_OF_ONE = 5  # of one organization in one round
MOST_WAITING = 4  # requests of one process that wait for a server, so that slow ones cannot take them all

LOOKED = ["state", "probe_error", "probe_attempts", "probe_due_at"]
SEEN = [*LOOKED, "server_info", "protocol_version", "probed_at"]

logger = logging.getLogger(__name__)
_waiting = BoundedSemaphore(MOST_WAITING)


def discover(url: str, *, organization_id: UUID, token: str = "") -> UUID:
    """Shake hands with a server that somebody wants to register and keep what it answered; return that row's id.

    The token, if any, is shown to the server and kept nowhere. Raises `HandshakeFailed`, and `TooMany` when too many
    requests wait for servers already.
    """
    row = _discovery(url, organization_id, _asked(url, organization_id, token))
    row.save(force_insert=True)
    return row.id


def discover_each(urls: Sequence[str], *, organization_id: UUID) -> list[UUID | HandshakeFailed]:
    """As `discover`, for several servers side by side, none of which is shown a token; why one failed comes back in its
    place. Its queries do not grow with the servers.
    """
    with waiting_place():
        way = way_of(organization_id)
        answers = asyncio.run(_all([(url, "", way) for url in urls]))
    rows: dict[int, Discovery] = {
        place: _discovery(url, organization_id, found)
        for place, (url, found) in enumerate(zip(urls, answers, strict=True))
        if not isinstance(found, HandshakeFailed)
    }
    Discovery.objects.bulk_create(rows.values())
    return [found if isinstance(found, HandshakeFailed) else rows[place].id for place, found in enumerate(answers)]


def discard(discovery_id: UUID) -> None:
    """Forget a discovery that no command will name any more."""
    Discovery.objects.filter(pk=discovery_id).delete()


def sweep_discoveries() -> int:
    """Forget the discoveries that no command took; return how many."""
    return staging.sweep(Discovery)


def look(server: MCPServer, *, token: str = "") -> None:
    """Look at a foreign server now, for somebody who waits, and keep what was seen. Raises `TooMany`."""
    shown = token or _known_token(server.id, server.url)
    try:
        found: Handshake | HandshakeFailed = _asked(server.url, server.organization_id, shown)
    except HandshakeFailed as error:
        found = error
    _keep(server.id, server.url, found)


def look_at_due() -> int:
    """Look at the servers whose time has come, a round at a time; return at how many."""
    done = 0
    while taken := _take(timezone.now()):
        answers = asyncio.run(_all([(one.url, one.token, one.way) for one in taken]))
        for one, found in zip(taken, answers, strict=True):
            _keep(one.server_id, one.url, found)
        done += len(taken)
    return done


def saw(server: MCPServer, found: Handshake | Discovery, *, pin: bool = False) -> None:
    """Keep what a handshake with the server answered. Without a first listing, or with `pin`, its tools are pinned.

    In the transaction of whoever calls.
    """
    is_first = server.probed_at is None
    verified(server, found)
    server.save(update_fields=SEEN)
    pins.record_tools(server, found.tools, pin=pin or is_first)


def verified(server: MCPServer, found: Handshake | Discovery) -> None:
    """Note, on a row that the caller saves, that a handshake with the server succeeded."""
    server.server_info, server.protocol_version = found.server_info, found.protocol_version
    server.state, server.probe_error, server.probe_attempts = ServerState.VERIFIED, None, 0
    server.probed_at = timezone.now()
    server.probe_due_at = None if server.is_managed else _next(0)


def failed(server: MCPServer, why: HandshakeFailed) -> None:
    """Keep that a handshake failed, and when to try again. The tools that were seen stay as they were.

    A server that only wants a token is there: it keeps its state, and its error says what is missing.
    """
    server.probe_error = {"step": why.step, "words": why.words}
    server.probe_attempts += 1
    server.probe_due_at = None if server.is_managed else _next(server.probe_attempts)
    if not why.wants_token:
        server.state = ServerState.FAILING
    server.save(update_fields=LOOKED)


@contextmanager
def waiting_place() -> Iterator[None]:
    """Take one of the places of requests that wait for a server. Raises `TooMany` when there is none."""
    if not _waiting.acquire(blocking=False):
        raise TooMany("Too many requests wait for MCP servers to answer. Ask again in a moment.", retry_after=5)
    try:
        yield
    finally:
        _waiting.release()


def _discovery(url: str, organization_id: UUID, found: Handshake) -> Discovery:
    return Discovery(
        id=new_id(),
        organization_id=organization_id,
        url=url,
        server_info=found.server_info,
        protocol_version=found.protocol_version,
        tools=found.tools,
    )


def _asked(url: str, organization_id: UUID, token: str) -> Handshake:
    with waiting_place():
        return asyncio.run(_shaken(url, token, way_of(organization_id)))


async def _shaken(url: str, token: str, way: Way) -> Handshake:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    seconds = settings.MCP_HANDSHAKE_SECONDS
    async with egress.client(way, headers=headers, timeout=seconds) as client:
        return await shake(url, client=client, seconds=seconds)


@dataclass(frozen=True)
class Due:
    """A server that this worker looks at."""

    server_id: UUID
    url: str
    way: Way
    token: str = field(repr=False)


def _take(now: datetime) -> list[Due]:
    """Take a round of due servers, a few of each organization in random order, which no backlog can occupy."""
    due = MCPServer.objects.filter(probe_due_at__lte=now, archived_at__isnull=True)
    organizations = list(due.order_by().values_list("organization_id", flat=True).distinct())
    random.shuffle(organizations)
    taken: list[Due] = []
    for organization_id in organizations[:MOST_AT_ONCE]:
        mine = due.filter(organization_id=organization_id).order_by("probe_due_at")
        rows = mine.values_list("id", "url", "probe_due_at")[:MOST_OF_ONE]
        leased = [(id_, url) for id_, url, was_due in rows if _lease(id_, was_due, now)]
        way = way_of(organization_id)
        taken += [Due(id_, url, way, _known_token(id_, url)) for id_, url in leased]
    return taken


def _lease(server_id: UUID, was_due: datetime | None, now: datetime) -> bool:
    return MCPServer.objects.filter(pk=server_id, probe_due_at=was_due).update(probe_due_at=now + LEASE) == 1


async def _all(asked: Sequence[tuple[str, str, Way]]) -> list[Handshake | HandshakeFailed]:
    """Shake hands side by side with servers at their URLs, each with its token and on its way."""
    at_once = asyncio.Semaphore(MOST_AT_ONCE)

    async def one(url: str, token: str, way: Way) -> Handshake | HandshakeFailed:
        async with at_once:
            try:
                return await _shaken(url, token, way)
            except HandshakeFailed as error:
                return error

    return await asyncio.gather(*(one(*each) for each in asked))


def _keep(server_id: UUID, url: str, found: Handshake | HandshakeFailed) -> None:
    with transaction.atomic(durable=True):
        rows = MCPServer.objects.filter(pk=server_id, url=url, archived_at__isnull=True)
        server = rows.select_for_update().first()
        if server is None:
            return  # it was archived, or moved: what was seen is of another
        if isinstance(found, HandshakeFailed):
            failed(server, found)
        else:
            saw(server, found)


def _known_token(server_id: UUID, url: str) -> str:
    """Return a token that the server at this origin may know, or "": it was given for it, or minted and handed over."""
    is_known = Q(source=CredentialSource.GIVEN) | Q(revealed_at__isnull=False)
    held = Credential.objects.filter(is_known, server_id=server_id, origin=origin_of(url))
    live = held.filter(archived_at__isnull=True, voided_at__isnull=True, sealed__isnull=False)
    rows = live.exclude(expires_at__lte=timezone.now()).select_related("sealed").order_by("-created_at")
    for credential in rows[:1]:
        assert credential.sealed is not None, "the query asked for those that have one"
        try:
            return sealing.unseal(credential.sealed)
        except (KeyMissing, Unreadable):
            logger.warning("a known token cannot be read", extra={"credential": credential.id})
    return ""


def _next(attempts: int) -> datetime:
    """Return when to look again: on the schedule, or after a failure later each time; never all at once."""
    wait = min(SOONEST * 2 ** min(attempts - 1, 10), LATEST) if attempts else EVERY
    return timezone.now() + wait * random.uniform(0.8, 1.2)  # noqa: S311  spread, no secret
