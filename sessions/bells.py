"""Bells between processes: "there is news about these sessions", nothing more.

    relays    somebody invoked, wrote to, closed or deleted a session          → `ring_relays`
    readers   events were stored, or the state changed                         → `ring_readers`, `ring_readers_soon`

The layer may lose any of them: both listeners also look at the database now and then. A bell that cannot be rung is
logged and forgotten; no request fails and none waits long.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any  # layers are untyped
from uuid import UUID

from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull
from channels.layers import get_channel_layer
from django.db import transaction
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

RELAYS = "sessions.relays"
READERS = "sessions.readers"
ORIGIN = secrets.token_hex(8)  # which process rang: what it stored itself it has handed over already
PATIENCE = 0.5
RETRY_SECONDS = 1.0
RENEW_SECONDS = 3600.0  # layers forget the members of a group a day after they were added
FAILURES = (OSError, RedisError, ChannelFull, TimeoutError)


def ring_relays(session_id: UUID) -> None:
    """After the current transaction, wake the relays about a session."""
    _on_commit(RELAYS, {"type": "sessions.work", "sessions": [str(session_id)]})


def ring_readers(session_id: UUID) -> None:
    """After the current transaction, tell every process with open sockets that a session changed."""
    _on_commit(READERS, news(changed=[session_id]))


async def ring_readers_soon(*, events: Iterable[UUID] = (), changed: Iterable[UUID] = ()) -> None:
    """Tell every process with open sockets, from async code."""
    await _ring(READERS, news(events=events, changed=changed))


def news(*, events: Iterable[UUID] = (), changed: Iterable[UUID] = ()) -> dict[str, Any]:
    """Return the readers' message."""
    return {
        "type": "sessions.news",
        "origin": ORIGIN,
        "events": [str(id_) for id_ in events],
        "changed": [str(id_) for id_ in changed],
    }


async def heard(group: str) -> AsyncIterator[dict[str, Any]]:
    """Yield what is rung to the group, for ever; after a failure of the layer listen again."""
    while True:
        with suppress(*FAILURES):
            async for message in _listen(group):
                yield message
        await asyncio.sleep(RETRY_SECONDS)


async def _listen(group: str) -> AsyncIterator[dict[str, Any]]:
    layer: Any = get_channel_layer()
    async with asyncio.timeout(PATIENCE):
        channel = await layer.new_channel()
    try:
        while True:
            async with asyncio.timeout(PATIENCE):
                await layer.group_add(group, channel)
            renewal = asyncio.get_running_loop().time() + RENEW_SECONDS
            while (message := await _received(layer, channel, renewal)) is not None:
                yield message
    finally:
        with suppress(*FAILURES):
            async with asyncio.timeout(PATIENCE):
                await layer.group_discard(group, channel)


async def _received(layer: Any, channel: str, until: float) -> dict[str, Any] | None:
    try:
        async with asyncio.timeout_at(until):
            message: dict[str, Any] = await layer.receive(channel)
            return message
    except TimeoutError:
        return None


def _on_commit(group: str, message: dict[str, Any]) -> None:
    transaction.on_commit(lambda: async_to_sync(_ring)(group, message), robust=True)


async def _ring(group: str, message: dict[str, Any]) -> None:
    layer: Any = get_channel_layer()
    try:
        async with asyncio.timeout(PATIENCE):
            await layer.group_send(group, message)
    except FAILURES as error:
        log.warning("A bell was lost; the sweep will see to it: %s", type(error).__name__)
