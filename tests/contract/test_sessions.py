import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types.beta import BetaEnvironment, BetaManagedAgentsAgent

from tests.contract.conftest import MODEL
from tests.contract.talk import message, of_type, put_away, talk, types

SAY_OK = "Answer with the single word OK. Use no tools."


async def test_a_new_session_is_idle_and_holds_its_agent_as_it_was(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    made = await client.beta.sessions.create(
        agent={"type": "agent", "id": agent.id, "version": 1},
        environment_id=environment.id,
        title="T",
        metadata={"a": "1"},
    )
    assert (made.status, made.title, made.metadata) == ("idle", "T", {"a": "1"})
    assert (made.agent.id, made.agent.version, made.agent.name) == (agent.id, 1, agent.name)
    await client.beta.agents.update(agent.id, version=1, description="changed later")
    assert (await client.beta.sessions.retrieve(made.id)).agent.description is None
    await client.beta.sessions.delete(made.id)


async def test_overrides_are_for_this_session_alone(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    made = await client.beta.sessions.create(
        agent={"type": "agent_with_overrides", "id": agent.id, "system": "Be brief.", "tools": []},
        environment_id=environment.id,
    )
    assert (made.agent.system, made.agent.tools, made.agent.version) == ("Be brief.", [], agent.version)
    assert (await client.beta.agents.retrieve(agent.id)).system is None
    await client.beta.sessions.delete(made.id)


async def test_a_turn_is_heard_in_order_and_listed_the_same(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    async with talk(client, agent.id, environment.id) as session:
        (echo,) = await session.say(message(SAY_OK))
        heard = await session.until_idle()
        assert types(heard)[:3] == ["user.message", "session.status_running", "session.thread_status_running"]
        assert types(heard)[-2:] == ["session.thread_status_idle", "session.status_idle"]
        assert heard[0].id == echo.id
        assert heard[-1].stop_reason.type == "end_turn"
        assert of_type(heard, "agent.message")
        started, ended = (of_type(heard, f"span.model_request_{word}") for word in ("start", "end"))
        assert [span.id for span in started] == [span.model_request_start_id for span in ended]
        assert all(event.processed_at is not None for event in heard)
        stored = await session.stored()
        assert [event.id for event in stored] == [event.id for event in heard]
        after = await client.beta.sessions.retrieve(session.id)
        assert after.status == "idle"
        assert after.usage.output_tokens


async def test_a_session_can_begin_with_its_first_message(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    made = await client.beta.sessions.create(
        agent=agent.id, environment_id=environment.id, initial_events=[message(SAY_OK)]
    )
    assert made.status == "running"
    await put_away(client, made.id)


async def test_titles_and_metadata_change_and_those_who_listen_are_told(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    async with talk(client, agent.id, environment.id, metadata={"a": "1"}) as session:
        await client.beta.sessions.update(session.id, title="renamed", metadata={"b": "2"})
        (event,) = await session.until(lambda event: event.type == "session.updated")
        assert (event.title, event.metadata) == ("renamed", {"a": "1", "b": "2"})
        with pytest.raises(anthropic.BadRequestError):
            await client.beta.sessions.update(session.id, vault_ids=["vlt_01other"])


async def test_archiving_terminates_a_session_and_ends_its_streams(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    async with talk(client, agent.id, environment.id) as session:
        archived = await client.beta.sessions.archive(session.id)
        assert archived.status == "terminated"
        assert archived.archived_at is not None
        assert types(await session.until(lambda event: event.type == "session.status_terminated"))
        with pytest.raises(anthropic.BadRequestError):
            await session.say(message(SAY_OK))


async def test_deleting_a_session_tells_those_who_listen(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    made = await client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    async with await client.beta.sessions.events.stream(made.id) as stream:
        deleted = await client.beta.sessions.delete(made.id)
        assert (deleted.id, deleted.type) == (made.id, "session_deleted")
        assert [event.type async for event in stream] == ["session.deleted"]
    with pytest.raises(anthropic.NotFoundError):
        await client.beta.sessions.retrieve(made.id)


async def test_a_running_session_is_neither_archived_nor_deleted(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    slow = "[slow=60] Count slowly from 1 to 500, one number a line."
    made = await client.beta.sessions.create(
        agent=agent.id, environment_id=environment.id, initial_events=[message(slow)]
    )
    for refused in (client.beta.sessions.archive, client.beta.sessions.delete):
        with pytest.raises(anthropic.BadRequestError):
            await refused(made.id)
    await put_away(client, made.id)


async def test_sessions_are_listed_by_agent_and_status_and_page_both_ways(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    made = [await client.beta.sessions.create(agent=agent.id, environment_id=environment.id) for _ in range(3)]
    ids = [session.id for session in reversed(made)]
    await client.beta.sessions.archive(ids[0])
    live = await client.beta.sessions.list(agent_id=agent.id)
    assert [session.id for session in live.data] == ids[1:]
    over = await client.beta.sessions.list(agent_id=agent.id, statuses=["terminated"], include_archived=True)
    assert [session.id for session in over.data] == ids[:1]
    first = await client.beta.sessions.list(agent_id=agent.id, order="asc", limit=2, include_archived=True)
    assert [session.id for session in first.data] == ids[:0:-1]
    assert first.prev_page is None
    second = await first.get_next_page()
    assert [session.id for session in second.data] == ids[:1]
    assert second.prev_page is not None
    again = await client.beta.sessions.list(
        agent_id=agent.id, order="asc", limit=2, include_archived=True, page=second.prev_page
    )
    assert [session.id for session in again.data] == ids[:0:-1]
    with pytest.raises(anthropic.BadRequestError):
        await client.beta.sessions.list(agent_id=agent.id, order="desc", page=second.prev_page)
    for id in ids:
        await client.beta.sessions.delete(id)


async def test_it_refuses_an_archived_agent_and_environment(client: AsyncAnthropic) -> None:
    agent = await client.beta.agents.create(name="retired", model=MODEL)
    environment = await client.beta.environments.create(name="retired", config={"type": "cloud"})
    await client.beta.environments.archive(environment.id)
    with pytest.raises(anthropic.BadRequestError):
        await client.beta.sessions.create(agent=agent.id, environment_id=environment.id)
    await client.beta.agents.archive(agent.id)
    live = await client.beta.environments.create(name="live", config={"type": "cloud"})
    with pytest.raises(anthropic.BadRequestError):
        await client.beta.sessions.create(agent=agent.id, environment_id=live.id)
    await client.beta.environments.delete(live.id)


async def test_a_file_is_mounted_into_a_session(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent, environment: BetaEnvironment
) -> None:
    file = await client.files.upload(file=("facts.txt", b"one", "text/plain"))
    made = await client.beta.sessions.create(
        agent=agent.id, environment_id=environment.id, resources=[{"type": "file", "file_id": file.id}]
    )
    (resource,) = made.resources
    assert resource.type == "file"
    assert resource.mount_path == f"/mnt/session/uploads/{file.id}"
    listed = await client.beta.sessions.resources.list(made.id)
    assert [item.id for item in listed.data if item.type == "file"] == [resource.id]
    await client.beta.sessions.resources.delete(resource.id, session_id=made.id)
    assert (await client.beta.sessions.retrieve(made.id)).resources == []
    await client.beta.sessions.delete(made.id)
    await client.files.delete(file.id)
