"""Talking with a session over the SDK: what the session tests share."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from anthropic import AsyncAnthropic

from tests.waiting import eventually

PATIENCE = 180 if os.environ.get("ANTHROPIC_API_KEY") else 20
"""Seconds for anything a model has a part in; the local one needs a fraction of one."""


def message(text: str) -> Any:
    """A user's message, as `events.send` takes it."""
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


class Talk:
    """One session with its stream open."""

    def __init__(self, client: AsyncAnthropic, session_id: str, stream: AsyncIterator[Any]) -> None:
        self.client = client
        self.id = session_id
        self.heard: list[Any] = []
        self._stream = stream

    async def say(self, *events: Any) -> list[Any]:
        """Send events; gives the echoes."""
        answer = await self.client.beta.sessions.events.send(self.id, events=events)
        return answer.data or []

    async def until(self, wanted: Callable[[Any], bool]) -> list[Any]:
        """Events from now to the first that is wanted."""
        heard = []
        async with asyncio.timeout(PATIENCE):
            async for event in self._stream:
                heard.append(event)
                self.heard.append(event)
                if wanted(event):
                    return heard
        raise AssertionError(f"the stream ended after {[event.type for event in heard]}")

    async def until_idle(self) -> list[Any]:
        """Events up to the next `session.status_idle`."""
        return await self.until(lambda event: event.type == "session.status_idle")

    async def stored(self) -> list[Any]:
        """All events as the list gives them."""
        return [event async for event in self.client.beta.sessions.events.list(self.id, limit=1000)]


@asynccontextmanager
async def talk(client: AsyncAnthropic, agent_id: str, environment_id: str, **session: Any) -> AsyncIterator[Talk]:
    """A new session, listened to before anything is said; deleted at the end."""
    made = await client.beta.sessions.create(agent=agent_id, environment_id=environment_id, **session)
    stream = await client.beta.sessions.events.stream(made.id)
    async with stream:
        yield Talk(client, made.id, aiter(stream))
    await put_away(client, made.id)


async def put_away(client: AsyncAnthropic, session_id: str) -> None:
    """Delete a session, whatever it is doing."""
    if (await client.beta.sessions.retrieve(session_id)).status != "terminated":
        await client.beta.sessions.events.send(session_id, events=[{"type": "user.interrupt"}])
    await eventually(lambda: _at_rest(client, session_id), within=PATIENCE)
    await client.beta.sessions.delete(session_id)


async def _at_rest(client: AsyncAnthropic, session_id: str) -> bool:
    return (await client.beta.sessions.retrieve(session_id)).status in {"idle", "terminated"}


def of_type(events: list[Any], kind: str) -> list[Any]:
    """The events of one type."""
    return [event for event in events if event.type == kind]


def types(events: list[Any]) -> list[str]:
    """Their types."""
    return [event.type for event in events]
