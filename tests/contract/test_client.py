"""Our own client of CMA, and what it makes of a service that fails."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from powerloom.cma import (
    CMA,
    JSON,
    AccountProblem,
    CMAError,
    Conflict,
    Missing,
    NameTaken,
    Page,
    Rejected,
    Unavailable,
)
from tests.contract.conftest import MODEL
from tests.local_runtime import LocalRuntime

AGENT: JSON = {"name": "ours", "model": MODEL}


@pytest.fixture
async def cma(runtime: LocalRuntime) -> AsyncIterator[CMA]:
    async with CMA(base_url=runtime.url, api_key=runtime.key, timeout=5) as client:
        yield client
    runtime.faults.clear()


@pytest.fixture
async def session_id(cma: CMA) -> str:
    agent = await cma.agents.create(AGENT)
    environment = await cma.environments.create({"name": "ours"})
    session = await cma.sessions.create({"agent": agent["id"], "environment_id": environment["id"]})
    return str(session["id"])


def message(text: str) -> JSON:
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


async def names(cma: CMA) -> set[str]:
    return {agent["name"] for agent in (await cma.agents.list()).data}


async def test_documents_come_as_cma_sent_them(cma: CMA) -> None:
    made = await cma.agents.create({**AGENT, "metadata": {"powerloom": "stamp"}})
    assert made["created_at"].endswith("Z")
    assert made["metadata"] == {"powerloom": "stamp"}
    assert await cma.agents.retrieve(made["id"]) == made
    changed = await cma.agents.update(made["id"], {"version": 1, "description": "changed"})
    assert changed["version"] == 2
    assert await cma.agents.retrieve(made["id"], 1) == made
    assert await cma.agents.versions(made["id"]) == Page([changed, made], None)


async def test_pages_go_on_where_the_last_one_ended(cma: CMA) -> None:
    made = [(await cma.agents.create(AGENT))["id"] for _ in range(5)]
    first = await cma.agents.list(limit=3)
    second = await cma.agents.list(limit=2, page=first.next_page)
    assert [agent["id"] for agent in first.data + second.data] == made[::-1]


async def test_a_skill_goes_up_with_its_directories_and_comes_down_whole(cma: CMA) -> None:
    files = [("tool/SKILL.md", b"---\nname: tool\ndescription: x\n---\n"), ("tool/a/b.txt", b"deep")]
    skill = await cma.skills.create("Tool 0197", files)
    assert skill["display_name"] == "Tool 0197"
    assert (await cma.skills.list()).data[0] == skill
    version = await cma.skills.versions.create(skill["id"], [*files, ("tool/c.txt", b"new")])
    assert [item["id"] for item in (await cma.skills.versions.list(skill["id"])).data] == [
        version["id"],
        skill["latest_version_id"],
    ]
    assert (await cma.skills.versions.content(skill["id"], "latest")).startswith(b"PK")
    await cma.skills.delete(skill["id"])
    with pytest.raises(Missing):
        await cma.skills.retrieve(skill["id"])


async def test_a_stream_is_listened_to_once_it_is_entered(cma: CMA, session_id: str) -> None:
    async with cma.events.stream(session_id) as events:
        (sent,) = await cma.events.send(session_id, [message("hello")])
        heard = []
        async with asyncio.timeout(20):
            async for event in events:
                heard.append(event)
                if event["type"] == "session.status_idle":
                    break
    assert heard[0]["id"] == sent["id"]
    assert (await cma.events.list(session_id)).data == heard


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Rejected),
        (401, AccountProblem),
        (402, AccountProblem),
        (403, Rejected),
        (404, Missing),
        (408, Unavailable),
        (409, Conflict),
        (413, Rejected),
        (422, Rejected),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
        (529, Unavailable),
    ],
)
async def test_an_error_says_what_to_do_about_it(
    cma: CMA, runtime: LocalRuntime, status: int, expected: type[CMAError]
) -> None:
    runtime.faults.add("POST /v1/agents", status=status)
    with pytest.raises(CMAError) as raised:
        await cma.agents.create(AGENT)
    assert type(raised.value) is expected
    assert raised.value.status == status
    assert raised.value.request_id
    assert runtime.faults.left() == []  # one call, one attempt: retrying is not the client's business


async def test_a_rate_limit_says_how_long_and_promises_that_nothing_was_done(cma: CMA, runtime: LocalRuntime) -> None:
    runtime.faults.add("POST /v1/agents", status=429, retry_after=1.5)
    with pytest.raises(Unavailable) as raised:
        await cma.agents.create(AGENT)
    assert (raised.value.retry_after, raised.value.answer_lost) == (1.5, False)


async def test_a_stale_version_is_a_conflict_and_not_a_taken_name(cma: CMA) -> None:
    made = await cma.agents.create(AGENT)
    await cma.agents.update(made["id"], {"version": 1, "name": "first"})
    with pytest.raises(Conflict) as raised:
        await cma.agents.update(made["id"], {"version": 1, "name": "second"})
    assert not isinstance(raised.value, NameTaken)


async def test_an_answer_lost_after_the_commit_is_told_from_a_request_never_sent(
    cma: CMA, runtime: LocalRuntime
) -> None:
    runtime.faults.add("POST /v1/agents", cut="after_commit")
    with pytest.raises(Unavailable) as raised:
        await cma.agents.create({**AGENT, "name": "committed unseen"})
    assert raised.value.answer_lost
    assert "committed unseen" in await names(cma)
    async with CMA(base_url="http://127.0.0.1:9", api_key="none") as nobody:
        with pytest.raises(Unavailable) as raised:
            await nobody.agents.create(AGENT)
    assert not raised.value.answer_lost


async def test_a_connection_cut_before_anything_was_done_leaves_nothing(cma: CMA, runtime: LocalRuntime) -> None:
    runtime.faults.add("POST /v1/agents", cut="before")
    with pytest.raises(Unavailable) as raised:
        await cma.agents.create({**AGENT, "name": "never made"})
    assert raised.value.answer_lost  # from here the two cannot be told apart
    assert "never made" not in await names(cma)


async def test_an_answer_that_takes_too_long_may_have_been_given(runtime: LocalRuntime) -> None:
    runtime.faults.add("POST /v1/agents", latency=30)
    async with CMA(base_url=runtime.url, api_key=runtime.key, timeout=0.2) as impatient:
        with pytest.raises(Unavailable) as raised:
            await impatient.agents.create(AGENT)
    assert raised.value.answer_lost


async def test_a_fault_strikes_as_often_as_it_was_told_to(cma: CMA, runtime: LocalRuntime) -> None:
    runtime.faults.add("* /v1/agents/{id}", status=529, times=2)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await cma.agents.retrieve("agent_01any")
    with pytest.raises(Missing):
        await cma.agents.retrieve("agent_01any")


async def test_a_stream_that_is_cut_says_so(cma: CMA, runtime: LocalRuntime, session_id: str) -> None:
    runtime.faults.add("GET /v1/sessions/{id}/events/stream", cut="after_events", events=3)
    heard: list[JSON] = []
    with pytest.raises(Unavailable):
        await listen(cma, session_id, heard)
    assert len(heard) == 3
    assert heard == (await cma.events.list(session_id)).data[:3]


async def listen(cma: CMA, session_id: str, heard: list[JSON]) -> None:
    async with cma.events.stream(session_id) as events:
        await cma.events.send(session_id, [message("[events=20 rate=100]")])
        async for event in events:
            heard.append(event)  # noqa: PERF401 - what came before the cut is kept


async def test_a_stream_that_cannot_be_opened_fails_as_any_call_does(
    cma: CMA, runtime: LocalRuntime, session_id: str
) -> None:
    runtime.faults.add("GET /v1/sessions/{id}/events/stream", status=529)
    with pytest.raises(Unavailable):
        async with cma.events.stream(session_id):
            pass
    with pytest.raises(Missing):
        async with cma.events.stream("sesn_01nowhere"):
            pass


async def test_a_stream_that_does_not_answer_is_given_up_like_any_call(
    runtime: LocalRuntime, cma: CMA, session_id: str
) -> None:
    runtime.faults.add("GET /v1/sessions/{id}/events/stream", latency=30)
    async with CMA(base_url=runtime.url, api_key=runtime.key, timeout=0.2) as impatient:
        with pytest.raises(Unavailable):
            async with impatient.events.stream(session_id):
                pass


async def test_an_id_cannot_lead_to_another_route(cma: CMA) -> None:
    with pytest.raises(Missing):
        await cma.agents.retrieve("../environments")
    with pytest.raises(Missing):
        await cma.agents.archive("x/../../vaults?")
