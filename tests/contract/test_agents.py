import uuid

import anthropic
import pytest
from anthropic import AsyncAnthropic
from anthropic.types.beta import BetaManagedAgentsAgent

from tests.contract.conftest import MODEL


async def test_a_new_agent_comes_back_whole_with_every_default_filled_in(client: AsyncAnthropic) -> None:
    made = await client.beta.agents.create(name="plain", model=MODEL)
    assert (made.version, made.name, made.model.id) == (1, "plain", MODEL)
    assert (made.tools, made.mcp_servers, made.skills, made.metadata) == ([], [], [], {})
    assert (made.description, made.system, made.multiagent, made.archived_at) == (None, None, None, None)
    assert made.execution_identity.type == "service_account"
    assert await client.beta.agents.retrieve(made.id) == made
    await client.beta.agents.archive(made.id)


async def test_tools_come_back_with_their_settings_resolved(client: AsyncAnthropic) -> None:
    made = await client.beta.agents.create(
        name="tools",
        model={"id": MODEL, "effort": "low", "speed": "standard"},
        tools=[
            {
                "type": "agent_toolset_20260401",
                "default_config": {"permission_policy": {"type": "always_ask"}},
                "configs": [
                    {"name": "bash", "enabled": False},
                    {"name": "web_fetch", "allowed_domains": ["a.example"]},
                ],
            },
            {"type": "mcp_toolset", "mcp_server_name": "docs"},
            {
                "type": "custom",
                "name": "lookup",
                "description": "Looks up",
                "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]},
            },
        ],
        mcp_servers=[{"type": "url", "name": "docs", "url": "https://docs.example/mcp"}],
        skills=[{"type": "anthropic", "skill_id": "pdf"}],
        metadata={"team": "contract"},
    )
    built_in, docs, lookup = made.tools
    assert built_in.type == "agent_toolset_20260401"
    assert built_in.default_config.enabled
    assert built_in.default_config.permission_policy.type == "always_ask"
    bash, fetch = built_in.configs
    assert (bash.name, bash.enabled, bash.permission_policy.type) == ("bash", False, "always_ask")
    assert fetch.type == "web_fetch"
    assert fetch.allowed_domains == ["a.example"]
    assert docs.type == "mcp_toolset"
    assert (docs.default_config.enabled, docs.default_config.permission_policy.type) == (True, "always_ask")
    assert lookup.type == "custom"
    assert lookup.input_schema.required == ["q"]
    assert made.model.effort is not None
    assert made.model.effort.type == "low"
    assert isinstance(made.skills[0].version, str)
    await client.beta.agents.archive(made.id)


async def test_an_update_that_changes_something_makes_a_version(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent
) -> None:
    second = await client.beta.agents.update(agent.id, version=1, description="now described")
    assert (second.version, second.description, second.name) == (2, "now described", agent.name)
    same = await client.beta.agents.update(agent.id, version=2, description="now described")
    assert same.version == 2
    third = await client.beta.agents.update(agent.id, description="")
    assert (third.version, third.description) == (3, None)
    versions = [item.version async for item in client.beta.agents.versions.list(agent.id, limit=2)]
    assert versions == [3, 2, 1]
    first = await client.beta.agents.retrieve(agent.id, version=1)
    assert (first.version, first.description) == (1, None)


async def test_a_stale_version_is_refused_at_once(client: AsyncAnthropic, agent: BetaManagedAgentsAgent) -> None:
    await client.beta.agents.update(agent.id, version=1, description="someone was faster")
    with pytest.raises(anthropic.ConflictError) as refused:
        await client.beta.agents.update(agent.id, version=1, description="too late")
    assert refused.value.request_id
    assert (await client.beta.agents.retrieve(agent.id)).description == "someone was faster"


async def test_metadata_is_patched_and_lists_are_replaced(
    client: AsyncAnthropic, agent: BetaManagedAgentsAgent
) -> None:
    await client.beta.agents.update(agent.id, metadata={"a": "1", "b": "2"})
    after = await client.beta.agents.update(agent.id, metadata={"a": None, "c": "3"}, tools=[])
    assert after.metadata == {"b": "2", "c": "3"}
    assert after.tools == []


async def test_an_archived_agent_can_be_read_but_not_changed(client: AsyncAnthropic) -> None:
    made = await client.beta.agents.create(name="short-lived", model=MODEL)
    archived = await client.beta.agents.archive(made.id)
    assert archived.archived_at is not None
    assert (await client.beta.agents.retrieve(made.id)).archived_at == archived.archived_at
    with pytest.raises(anthropic.BadRequestError):
        await client.beta.agents.update(made.id, name="other")


async def test_lists_page_by_cursor_newest_first_without_what_is_archived(client: AsyncAnthropic) -> None:
    made = [await client.beta.agents.create(name=f"page-{place}", model=MODEL) for place in range(5)]
    ids = [agent.id for agent in reversed(made)]
    await client.beta.agents.archive(ids[0])
    first = await client.beta.agents.list(limit=2)
    assert [agent.id for agent in first.data] == ids[1:3]
    second = await first.get_next_page()
    assert [agent.id for agent in second.data] == ids[3:5]
    everything = await client.beta.agents.list(limit=1, include_archived=True)
    assert everything.data[0].id == ids[0]
    since = await client.beta.agents.list(created_at_gte=made[3].created_at, include_archived=True)
    assert [agent.id for agent in since.data] == ids[:2]
    for id in ids[1:]:
        await client.beta.agents.archive(id)


async def test_a_cursor_of_our_own_making_is_refused(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.BadRequestError):
        await client.beta.agents.list(page="page_bm90IG9uZQ")


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": "n" * 257},
        {"system": "s" * 100_001},
        {"description": "d" * 2049},
        {"metadata": {"k" * 65: "v"}},
        {"metadata": {f"k{place}": "v" for place in range(17)}},
        {"skills": [{"type": "anthropic", "skill_id": "pdf"}] * 21},
        {"skills": [{"type": "custom", "skill_id": "skill_01nowhere"}]},
        {"tools": [{"type": "mcp_toolset", "mcp_server_name": "nobody"}]},
        {"mcp_servers": [{"type": "url", "name": "unused", "url": "https://u.example/mcp"}]},
        {"tools": [{"type": "no_such_toolset"}]},
        {"model": "claude-x-no-such-model"},
        {"no_such_field": 1},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_it_refuses_what_breaks_a_limit(client: AsyncAnthropic, change: dict[str, object]) -> None:
    body = {"name": "limits", "model": MODEL, **change}
    with pytest.raises(anthropic.BadRequestError) as refused:
        await client.post("/v1/agents", body=body, cast_to=object, options={"headers": BETA})
    assert refused.value.type == "invalid_request_error"
    assert refused.value.api_message


async def test_an_agent_that_is_not_there_is_a_404(client: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError) as refused:
        await client.beta.agents.retrieve(f"agent_01{uuid.uuid4().hex[:22]}")
    assert refused.value.type == "not_found_error"


BETA = {"anthropic-beta": "managed-agents-2026-04-01"}
