import asyncio
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types.beta import BetaEnvironment, BetaManagedAgentsAgent

from tests.contract.talk import PATIENCE, Talk, message, put_away, talk, types

SAY_OK = "Answer with the single word OK. Use no tools."


def starts_a_request(event: Any) -> bool:
    return bool(event.type == "span.model_request_start")


async def test_two_streams_hear_the_same(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    async with talk(client, agent.id, environment.id) as session:
        async with await client.beta.sessions.events.stream(session.id) as other:
            await session.say(message(SAY_OK))
            heard = [event.id for event in await session.until_idle()]
            overheard = [event.id for event in await Talk(client, session.id, aiter(other)).until_idle()]
        assert overheard == heard


async def test_a_reader_that_lost_its_stream_misses_nothing_by_stream_then_list(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    made = await client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    seen: dict[str, Any] = {}
    async with await client.beta.sessions.events.stream(made.id) as first:
        session = Talk(client, made.id, aiter(first))
        await session.say(message(SAY_OK))
        seen |= {event.id: event for event in await session.until(starts_a_request)}
    # Here the connection is lost.
    async with await client.beta.sessions.events.stream(made.id) as second:
        session = Talk(client, made.id, aiter(second))
        seen |= {event.id: event for event in await session.stored()}
        if "session.status_idle" not in types(list(seen.values())):
            seen |= {event.id: event for event in await session.until_idle()}
    stored = [event.id async for event in client.beta.sessions.events.list(made.id)]
    assert list(seen) == stored
    await put_away(client, made.id)


async def test_previews_come_to_those_who_ask_and_end_in_the_event_itself(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    async with talk(client, agent.id, environment.id) as session:
        async with await client.beta.sessions.events.stream(session.id, event_deltas=["agent.message"]) as previewing:
            await session.say(message(SAY_OK))
            plain = await session.until_idle()
            shown: dict[str, str] = {}
            texts: dict[str, str] = {}
            async with asyncio.timeout(PATIENCE):
                async for event in previewing:
                    if event.type == "event_start":
                        shown[event.event.id] = ""
                    elif event.type == "event_delta":
                        shown[event.event_id] += event.delta.content.text
                    elif event.type == "agent.message":
                        texts[event.id] = "".join(block.text for block in event.content if block.type == "text")
                    elif event.type == "session.status_idle":
                        break
        assert shown
        assert shown == texts
        assert not {"event_start", "event_delta"} & set(types(plain))


async def test_only_messages_and_thinking_can_be_previewed(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    made = await client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    unlisted: Any = ["agent.tool_use"]
    with pytest.raises(anthropic.BadRequestError):
        await client.beta.sessions.events.stream(made.id, event_deltas=unlisted)
    await client.beta.sessions.delete(made.id)


async def test_events_are_listed_by_type_and_time_and_page_in_both_orders(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    async with talk(client, agent.id, environment.id) as session:
        await session.say(message(SAY_OK))
        ids = [event.id for event in await session.until_idle()]
        backwards = [event.id async for event in client.beta.sessions.events.list(session.id, order="desc", limit=3)]
        assert backwards == ids[::-1]
        spans = client.beta.sessions.events.list(session.id, types=["span.model_request_start"])
        assert {event.type async for event in spans} == {"span.model_request_start"}
        page = await client.beta.sessions.events.list(session.id, limit=2)
        last = page.data[-1]
        assert last.processed_at is not None
        later = client.beta.sessions.events.list(session.id, created_at_gt=last.processed_at)
        assert [event.id async for event in later] == ids[2:]
        assert page.next_page
        with pytest.raises(anthropic.BadRequestError):
            await client.beta.sessions.events.list(session.id, page=page.next_page, order="desc")


async def test_a_stream_of_nothing_is_a_404(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError):
        await client.beta.sessions.events.stream("sesn_01nowhere")
