"""How turns end other than well; the local runtime does it on request, in words at the start of a prompt."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic

from tests.contract.conftest import MODEL
from tests.contract.talk import Talk, message, of_type, talk, types


@pytest.fixture
async def session(local_client: AsyncAnthropic) -> AsyncIterator[Talk]:
    agent = await local_client.beta.agents.create(name="ender", model=MODEL)
    environment = await local_client.beta.environments.create(name="endings")
    async with talk(local_client, agent.id, environment.id) as started:
        yield started


async def status(session: Talk) -> str:
    return (await session.client.beta.sessions.retrieve(session.id)).status


async def after(session: Talk, prompt: str) -> list[Any]:
    await session.say(message(prompt))
    return await session.until_idle()


async def test_a_turn_that_fails_says_why_and_the_next_may_go_well(session: Talk) -> None:
    failed = await after(session, "[fail] do it")
    (error,) = of_type(failed, "session.error")
    assert (error.error.type, error.error.retry_status.type) == ("model_request_failed_error", "exhausted")
    assert failed[-1].stop_reason.type == "retries_exhausted"
    assert (await after(session, "again"))[-1].stop_reason.type == "end_turn"


async def test_a_turn_that_fails_takes_the_inputs_behind_it_along(session: Talk) -> None:
    await session.say(message("[slow=0.3 fail] do it"))
    await session.until(lambda event: event.type == "session.status_running")
    (queued,) = await session.say(message("then this"))
    heard = await session.until_idle()
    assert queued.id in {event.id for event in heard}
    assert heard[-1].stop_reason.type == "retries_exhausted"
    assert await status(session) == "idle"
    assert types(await session.stored()).count("session.status_running") == 1


async def test_a_terminal_error_ends_the_session_and_its_streams(session: Talk) -> None:
    await session.say(message("[terminate] do it"))
    heard = await session.until(lambda event: event.type == "session.status_terminated")
    assert of_type(heard, "session.error")[0].error.retry_status.type == "terminal"
    assert types(heard)[-2:] == ["session.thread_status_terminated", "session.status_terminated"]
    assert await status(session) == "terminated"
    with pytest.raises(anthropic.BadRequestError):
        await session.say(message("again"))
    async with await session.client.beta.sessions.events.stream(session.id) as late:
        assert [event async for event in late] == []


async def test_a_refusal_explains_itself(session: Talk) -> None:
    idle = (await after(session, "[refuse] do it"))[-1]
    assert (idle.stop_reason.type, idle.stop_details.type) == ("refusal", "refusal")
    assert idle.stop_details.explanation


async def test_a_budget_that_is_reached_stops_the_turn(session: Talk) -> None:
    assert (await after(session, "[budget] do it"))[-1].stop_reason.type == "budget_reached"


async def test_a_session_that_is_rescheduled_goes_on(session: Talk) -> None:
    heard = types(await after(session, "[reschedule] do it"))
    place = heard.index("session.status_rescheduled")
    assert heard[place + 1] == "session.status_running"
    assert heard[-1] == "session.status_idle"


async def test_usage_and_active_time_add_up_over_turns(session: Talk) -> None:
    await after(session, "[slow=0.2] one")
    first = await session.client.beta.sessions.retrieve(session.id)
    await after(session, "[slow=0.2] two")
    second = await session.client.beta.sessions.retrieve(session.id)
    assert first.usage.output_tokens
    assert second.usage.output_tokens
    assert second.usage.output_tokens > first.usage.output_tokens
    assert first.stats.active_seconds is not None
    assert second.stats.active_seconds is not None
    assert second.stats.active_seconds >= first.stats.active_seconds + 0.2


async def test_a_system_message_goes_with_the_message_before_it(session: Talk) -> None:
    note: Any = {"type": "system.message", "content": [{"type": "text", "text": "Be brief."}]}
    await session.say(message("one"), note)
    heard = await session.until_idle()
    assert types(heard)[:3] == ["user.message", "system.message", "session.status_running"]
    with pytest.raises(anthropic.BadRequestError):
        await session.say(note)
