"""Calls that need the client: confirmations and custom tools. And stopping: interrupts."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any

import anthropic
import pytest
from anthropic import AsyncAnthropic, beta_async_tool
from anthropic.types.beta import BetaEnvironment

from tests.contract.conftest import MODEL
from tests.contract.talk import PATIENCE, message, of_type, talk, types

RUN_ECHO = "Run `echo hello` with the bash tool once, then say in one sentence what it printed."
LOOK_UP = "Call the lookup tool once with q='weather', then say in one sentence what it answered."
SLOW = "[slow=60] Write a poem of at least 2000 words."

ASKING: Any = {
    "type": "agent_toolset_20260401",
    "default_config": {"enabled": False},
    "configs": [{"name": "bash", "enabled": True, "permission_policy": {"type": "always_ask"}}],
}
LOOKUP: Any = {
    "type": "custom",
    "name": "lookup",
    "description": "Looks up a topic and answers with a fact.",
    "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
}


AgentWith = Callable[..., Awaitable[str]]


@pytest.fixture
async def agent_with(client: AsyncAnthropic) -> AsyncIterator[AgentWith]:
    """Makes agents with the tools given, and puts them away."""
    made = []

    async def make(*tools: Any) -> str:
        made.append((await client.beta.agents.create(name="caller", model=MODEL, tools=tools)).id)
        return made[-1]

    yield make
    for id in made:
        await client.beta.agents.archive(id)


async def test_an_asked_call_waits_and_runs_when_allowed(
    client: AsyncAnthropic, environment: BetaEnvironment, agent_with: AgentWith
) -> None:
    async with talk(client, await agent_with(ASKING), environment.id) as session:
        await session.say(message(RUN_ECHO))
        waiting = await session.until_idle()
        (use,) = of_type(waiting, "agent.tool_use")
        assert (use.name, use.evaluated_permission, use.evaluation.type) == ("bash", "ask", "always_ask")
        assert waiting[-1].stop_reason.type == "requires_action"
        assert waiting[-1].stop_reason.event_ids == [use.id]
        assert not of_type(waiting, "agent.tool_result")
        await session.say({"type": "user.tool_confirmation", "tool_use_id": use.id, "result": "allow"})
        heard = await session.until_idle()
        assert types(heard)[:2] == ["user.tool_confirmation", "session.status_running"]
        (result,) = of_type(heard, "agent.tool_result")
        assert (result.tool_use_id, bool(result.is_error)) == (use.id, False)
        assert heard[-1].stop_reason.type == "end_turn"


async def test_a_denied_call_does_not_run_and_the_agent_is_told_why(
    client: AsyncAnthropic, environment: BetaEnvironment, agent_with: AgentWith
) -> None:
    async with talk(client, await agent_with(ASKING), environment.id) as session:
        await session.say(message(RUN_ECHO))
        (use,) = of_type(await session.until_idle(), "agent.tool_use")
        await session.say(
            {
                "type": "user.tool_confirmation",
                "tool_use_id": use.id,
                "result": "deny",
                "deny_message": "not on a Friday; do not try again",
            }
        )
        heard = await session.until_idle()
        (result,) = of_type(heard, "agent.tool_result")
        assert result.tool_use_id == use.id
        assert "not on a Friday" in result.content[0].text


async def test_a_call_that_did_not_ask_cannot_be_confirmed(
    client: AsyncAnthropic, environment: BetaEnvironment, agent_with: AgentWith
) -> None:
    free: Any = {**ASKING, "configs": [{"name": "bash", "enabled": True}]}
    async with talk(client, await agent_with(free), environment.id) as session:
        await session.say(message(RUN_ECHO))
        (use,) = of_type(await session.until_idle(), "agent.tool_use")
        with pytest.raises(anthropic.BadRequestError):
            await session.say({"type": "user.tool_confirmation", "tool_use_id": use.id, "result": "allow"})
        with pytest.raises(anthropic.BadRequestError):
            await session.say({"type": "user.tool_confirmation", "tool_use_id": "sevt_01no", "result": "allow"})


async def test_a_custom_tool_is_run_by_the_client(
    client: AsyncAnthropic, environment: BetaEnvironment, agent_with: AgentWith
) -> None:
    async with talk(client, await agent_with(LOOKUP), environment.id) as session:
        await session.say(message(LOOK_UP))
        waiting = await session.until_idle()
        (use,) = of_type(waiting, "agent.custom_tool_use")
        assert (use.name, list(use.input)) == ("lookup", ["q"])
        assert waiting[-1].stop_reason.event_ids == [use.id]
        (echo,) = await session.say(
            {
                "type": "user.custom_tool_result",
                "custom_tool_use_id": use.id,
                "content": [{"type": "text", "text": "Sunny."}],
            }
        )
        assert echo.processed_at is not None
        heard = await session.until_idle()
        assert heard[-1].stop_reason.type == "end_turn"
        assert of_type(heard, "agent.message")


async def test_the_sdks_own_tool_runner_answers_custom_tools(
    client: AsyncAnthropic, environment: BetaEnvironment, agent_with: AgentWith
) -> None:
    asked = []

    @beta_async_tool(name="lookup", input_schema=LOOKUP["input_schema"])
    async def lookup(q: str) -> str:
        """Looks up a topic and answers with a fact."""
        asked.append(q)
        return "Sunny."

    async with talk(client, await agent_with(LOOKUP), environment.id) as session:
        runner = client.beta.sessions.events.tool_runner(session.id, tools=[lookup])
        running = asyncio.create_task(every(runner))
        await session.say(message(LOOK_UP))
        heard = await session.until(lambda event: event.type == "user.custom_tool_result")
        await session.until(lambda event: event.type == "session.status_idle" and event.stop_reason.type == "end_turn")
    async with asyncio.timeout(PATIENCE):
        (answered,) = await running  # it ends with its session
    assert len(asked) == 1
    assert heard[-1].custom_tool_use_id == answered.event.id
    assert heard[-1].content[0].text == "Sunny."


async def every(items: AsyncIterable[Any]) -> list[Any]:
    return [item async for item in items]


async def test_an_interrupt_ends_the_turn_and_the_next_message_starts_another(
    client: AsyncAnthropic, environment: BetaEnvironment, agent_with: AgentWith
) -> None:
    async with talk(client, await agent_with(), environment.id) as session:
        await session.say(message(SLOW))
        await session.until(lambda event: event.type == "session.status_running")
        await session.say({"type": "user.interrupt"})
        stopped = await session.until_idle()
        assert "user.interrupt" in types(stopped)
        assert stopped[-1].stop_reason.type == "end_turn"
        assert (await client.beta.sessions.retrieve(session.id)).status == "idle"
        await session.say(message("Answer with the single word OK. Use no tools."))
        assert of_type(await session.until(lambda event: event.type == "agent.message"), "session.status_running")


async def test_an_interrupt_of_an_idle_session_starts_nothing(
    client: AsyncAnthropic, environment: BetaEnvironment, agent_with: AgentWith
) -> None:
    async with talk(client, await agent_with(), environment.id) as session:
        await session.say({"type": "user.interrupt"})
        assert (await client.beta.sessions.retrieve(session.id)).status == "idle"
        assert "session.status_running" not in types(await session.stored())


async def test_a_message_sent_while_it_runs_has_its_turn_later(
    client: AsyncAnthropic, environment: BetaEnvironment, agent_with: AgentWith
) -> None:
    async with talk(client, await agent_with(), environment.id) as session:
        await session.say(message("[slow=2] Answer with the single word ONE. Use no tools."))
        await session.until(lambda event: event.type == "session.status_running")
        (queued,) = await session.say(message("Answer with the single word TWO. Use no tools."))
        assert queued.processed_at is None
        heard = await session.until(lambda event: event.id == queued.id)
        assert heard[-1].processed_at is not None
