"""The local runtime as a process: its flags, its end, its restart, and many sessions at once."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import httpx
import pytest

from powerloom.cma import CMA, JSON, Unavailable
from powerloom.kernel.tls import trust
from tests.contract.conftest import MODEL
from tests.local_runtime import LocalRuntime, local_runtime
from tests.waiting import eventually

SESSIONS = 210
"""More than the client puts on one pool of connections."""


def message(text: str) -> JSON:
    return {"type": "user.message", "content": [{"type": "text", "text": text}]}


def client(runtime: LocalRuntime) -> CMA:
    return CMA(base_url=runtime.url, api_key=runtime.key)


async def new_session(cma: CMA, prompt: str) -> str:
    agent = await cma.agents.create({"name": "a", "model": MODEL, "tools": [{"type": "agent_toolset_20260401"}]})
    environment = await cma.environments.create({"name": "e"})
    session = await cma.sessions.create(
        {"agent": agent["id"], "environment_id": environment["id"], "initial_events": [message(prompt)]}
    )
    return str(session["id"])


async def status(cma: CMA, session_id: str) -> str:
    return str((await cma.sessions.retrieve(session_id))["status"])


async def test_a_session_that_was_running_when_the_server_was_killed_goes_on(tmp_path: Path) -> None:
    with local_runtime(tmp_path, "--pace", "0") as runtime:
        async with client(runtime) as cma:
            session_id = await new_session(cma, "[events=60 rate=60]")

            async def halfway() -> bool:
                return len((await cma.events.list(session_id)).data) > 20

            await eventually(halfway)
            before = [event["id"] for event in (await cma.events.list(session_id)).data]
        runtime.kill()
        runtime.start()
        async with client(runtime) as cma:

            async def over() -> bool:
                return await status(cma, session_id) == "idle"

            await eventually(over)
            events = (await cma.events.list(session_id)).data
    assert [event["id"] for event in events][: len(before)] == before
    texts = [event["content"][0]["text"] for event in events if event["type"] == "agent.message"]
    assert [text.rpartition("message ")[2] for text in texts] == [f"{n} of 60" for n in range(1, 61)]
    assert events[-1]["stop_reason"] == {"type": "end_turn"}


async def test_a_call_that_waited_for_its_client_still_waits_after_a_restart(tmp_path: Path) -> None:
    with local_runtime(tmp_path, "--pace", "0") as runtime:
        async with client(runtime) as cma:
            session_id = await new_session(cma, "[ask] look around")

            async def waiting() -> bool:
                return await status(cma, session_id) == "idle"

            await eventually(waiting)
        assert runtime.stop() == 0
        runtime.start()
        async with client(runtime) as cma:
            last = (await cma.events.list(session_id)).data[-1]
            (call,) = last["stop_reason"]["event_ids"]
            async with cma.events.stream(session_id) as events:
                await cma.events.send(
                    session_id, [{"type": "user.tool_confirmation", "tool_use_id": call, "result": "allow"}]
                )
                heard = [await anext(events) for _ in range(4)]
    assert [event["type"] for event in heard][:2] == ["user.tool_confirmation", "session.status_running"]
    assert heard[3]["tool_use_id"] == call


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_with_0_within_two_seconds_and_closes_its_streams(tmp_path: Path, number: int) -> None:
    with local_runtime(tmp_path) as runtime:
        async with client(runtime) as cma:
            session_id = await new_session(cma, "[slow=600] wait")
            async with cma.events.stream(session_id) as events:
                runtime.process.send_signal(number)
                async with asyncio.timeout(2):
                    rest = [event["type"] async for event in events]
                    assert await asyncio.to_thread(runtime.process.wait, 2) == 0
    assert "session.status_terminated" not in rest


async def test_it_serves_this_machine_only_under_its_key(tmp_path: Path) -> None:
    with local_runtime(tmp_path) as runtime:
        async with httpx.AsyncClient(trust_env=False, verify=trust()) as http:
            refused = await http.get(f"{runtime.url}/v1/models", headers={"x-api-key": "wrong"})
            none = await http.get(f"{runtime.url}/v1/models")
            taken = await http.get(f"{runtime.url}/v1/models", headers={"x-api-key": runtime.key})
    assert (refused.status_code, none.status_code, taken.status_code) == (401, 401, 200)


async def test_without_a_key_of_its_own_it_takes_any_but_wants_one(tmp_path: Path) -> None:
    with local_runtime(tmp_path, "--key=") as runtime:
        async with httpx.AsyncClient(base_url=runtime.url, trust_env=False, verify=trust()) as http:
            shown = [{"x-api-key": "any"}, {"authorization": "Bearer any"}, {}]
            answers = [await http.get("/v1/models", headers=headers) for headers in shown]
    assert [answer.status_code for answer in answers] == [200, 200, 401]


async def test_with_limits_the_301st_create_is_told_to_wait(tmp_path: Path) -> None:
    with local_runtime(tmp_path, "--limits") as runtime:
        async with client(runtime) as cma:
            made = await asyncio.gather(
                *(cma.agents.create({"name": f"a{n}", "model": MODEL}) for n in range(340)), return_exceptions=True
            )
            refused = [answer for answer in made if isinstance(answer, Unavailable)]
            assert 300 <= len(made) - len(refused) < 340
            assert {error.status for error in refused} == {429}
            assert all(error.retry_after is not None and error.retry_after >= 1 for error in refused)
            assert not any(error.answer_lost for error in refused)
            assert len((await cma.agents.list()).data) == 100  # reads have a budget of their own


async def test_many_sessions_at_one_event_a_second_lose_and_double_nothing(tmp_path: Path) -> None:
    with local_runtime(tmp_path, "--pace", "0") as runtime:
        async with client(runtime) as cma:
            agent = await cma.agents.create({"name": "a", "model": MODEL})
            environment = await cma.environments.create({"name": "e"})
            body = {"agent": agent["id"], "environment_id": environment["id"]}
            async with asyncio.timeout(60):
                heard = await asyncio.gather(*(listen(cma, body) for _ in range(SESSIONS)))
    assert len(heard) == SESSIONS
    for live, stored in heard:
        assert live == stored
        assert max(Counter(live).values()) == 1


async def listen(cma: CMA, body: JSON) -> tuple[list[str], list[str]]:
    """Ids of a session's events as they came, and as they are kept."""
    session_id = (await cma.sessions.create(body))["id"]
    live = []
    async with cma.events.stream(session_id) as events:
        await cma.events.send(session_id, [message("[events=4 rate=1]")])
        async for event in events:
            live.append(event["id"])
            if event["type"] == "session.status_idle":
                break
    return live, [event["id"] for event in (await cma.events.list(session_id)).data]


def test_without_its_flag_there_are_no_faults_to_set(tmp_path: Path) -> None:
    with local_runtime(tmp_path, "--no-faults") as runtime:
        answer = httpx.post(
            f"{runtime.url}/local/faults", json={}, headers={"x-api-key": runtime.key}, trust_env=False, verify=trust()
        )
    assert answer.status_code == 404
