"""Sync mode: the answer comes when the session ends, nobody can make the mark, a client that leaves is forgotten."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.http import HttpResponse

from accounts.commands.tokens import RevokeToken
from accounts.models import AccessToken
from accounts.tokens import sign_in_token
from agents.models import Agent
from powerloom.asgi import application
from powerloom.commands.bus import submit
from sessions import reader
from sessions.commands import DeleteSession
from sessions.models import AgentSession
from sessions.queries import still_visible
from sessions.waiting import HEADER, WaitingApp, mark
from tests.recorded import DONE, event, invoked, live_agent, observe
from tests.waiting import eventually
from tests.world import World, actor_of, make_token


class Request:
    """One HTTP request over ASGI, whose client may leave."""

    def __init__(
        self,
        app: Any,
        path: str,
        token: str = "",
        body: Any = None,
        *,
        method: str = "POST",
        query: bytes = b"",
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        content = json.dumps(body or {}).encode()
        self.sent: list[dict[str, Any]] = []
        self._messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._messages.put_nowait({"type": "http.request", "body": content})
        sent = [(b"host", b"testserver"), (b"content-type", b"application/json"), *headers]
        sent += [(b"authorization", f"Bearer {token}".encode())] if token else []
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "headers": sent,
            "server": ("testserver", 80),
            "client": ("127.0.0.1", 1),
        }
        self.task = asyncio.create_task(app(scope, self._messages.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    async def waits(self) -> None:
        """Return once its answer is kept: until then the process has no reader at work."""

        async def served() -> bool:
            return bool(reader.reader()._followers)

        await eventually(served, what="a waiter")

    def leave(self) -> None:
        self._messages.put_nowait({"type": "http.disconnect"})

    async def answer(self) -> tuple[int, dict[bytes, bytes], Any]:
        await asyncio.wait_for(self.task, 10)
        start, *parts = self.sent
        return start["status"], dict(start["headers"]), json.loads(b"".join(part["body"] for part in parts))


@pytest.fixture
def agent(committed_world: World) -> Agent:
    return live_agent(committed_world)


@pytest.fixture
def token(committed_world: World) -> str:
    return sign_in_token(committed_world.alice)


async def session_of(agent: Agent) -> AgentSession:
    async def made() -> AgentSession | None:
        return await AgentSession.objects.filter(agent=agent).afirst()

    session = await eventually(made, what="a session")
    assert session is not None
    return session


def sync_request(agent: Agent, token: str) -> Request:
    return Request(application, f"/api/agents/{agent.id}/invoke", token, {"prompt": "x", "mode": "sync"})


async def test_the_answer_comes_at_the_end_and_says_how_it_ended(agent: Agent, token: str) -> None:
    request = sync_request(agent, token)
    session = await session_of(agent)
    await sync_to_async(observe)(session, event("session.status_running"))
    assert request.sent == []
    await sync_to_async(observe)(session, event("session.status_idle", stop_reason=DONE))
    status, headers, body = await request.answer()
    assert status == 201
    assert (body["session_id"], body["status"], body["event_count"]) == (str(session.id), "idle_end_turn", 2)
    assert (body["ws_ticket"], body["ws_url"]) == (None, None)
    assert HEADER.lower().encode() not in {name.lower() for name in headers}
    assert int(headers[b"content-length"]) == len(request.sent[1]["body"])


async def test_a_failure_is_an_end_too(agent: Agent, token: str) -> None:
    request = sync_request(agent, token)
    session = await session_of(agent)
    await sync_to_async(observe)(session, event("session.status_idle", stop_reason={"type": "retries_exhausted"}))
    _, _, body = await request.answer()
    assert body["status"] == "failed"
    assert body["last_error"]


async def test_a_tool_that_asks_is_told_at_once_because_nobody_would_answer_it(agent: Agent, token: str) -> None:
    request = sync_request(agent, token)
    session = await session_of(agent)
    asking = event("agent.tool_use", name="bash", input={}, evaluated_permission="ask")
    asks = event("session.status_idle", stop_reason={"type": "requires_action", "event_ids": [asking["id"]]})
    await sync_to_async(observe)(session, event("session.status_running"), asking, asks)
    status, _, body = await request.answer()
    assert (status, body["status"], body["waiting_for"]) == (201, "running", "confirmation")
    assert body["session_id"] == str(session.id)


async def test_a_session_deleted_meanwhile_is_an_end_too(agent: Agent, token: str, committed_world: World) -> None:
    request = sync_request(agent, token)
    session = await session_of(agent)
    await request.waits()
    delete = DeleteSession(session_id=session.id)
    await sync_to_async(submit)(delete, actor=actor_of(committed_world.alice))
    _, _, body = await request.answer()
    assert (body["status"], body["stop_reason"], "prompt" in body) == ("terminated", "deleted", False)


async def test_who_may_invoke_and_not_read_hears_how_it_ended_alone(agent: Agent, committed_world: World) -> None:
    token = await sync_to_async(make_token)(committed_world.alice, actions=["agent:read", "agent:invoke"])
    request = sync_request(agent, token)
    session = await session_of(agent)
    await request.waits()
    [waiter] = reader.reader()._followers[session.id]
    assert waiter.actor is not None
    await reader._part([waiter], await sync_to_async(still_visible)(waiter.actor, [session.id]))
    assert request.sent == [], "it waits on"
    await sync_to_async(observe)(session, event("session.status_idle", stop_reason=DONE))
    status, _, body = await request.answer()
    assert (status, body.pop("status"), body.pop("session_id")) == (201, "idle_end_turn", str(session.id))
    assert body.keys() == {"mode", "stop_reason", "waiting_for", "ws_ticket", "ws_url"}
    read = Request(application, f"/api/sessions/{session.id}", token, method="GET")
    assert (await read.answer())[0] == 404


async def test_whoever_is_nobody_any_more_is_refused_at_once(agent: Agent, committed_world: World) -> None:
    request = sync_request(agent, await sync_to_async(make_token)(committed_world.alice))
    session = await session_of(agent)
    await request.waits()
    [token] = [row async for row in AccessToken.objects.filter(principal_id=committed_world.alice.pk)]
    revoke = RevokeToken(principal_id=committed_world.alice.pk, token_id=token.pk)
    await sync_to_async(submit)(revoke, actor=actor_of(committed_world.alice))
    status, _, body = await request.answer()
    assert (status, body["error"]["code"]) == (401, "unauthenticated")
    await session.arefresh_from_db()
    assert session.status == "pending", "it goes on"


async def test_a_server_that_stops_says_which_session_goes_on_without_it(agent: Agent, token: str) -> None:
    request = sync_request(agent, token)
    session = await session_of(agent)
    await request.waits()
    request.task.cancel()  # what Daphne does with requests under way
    await asyncio.wait({request.task}, timeout=10)
    assert request.task.cancelled()
    start, part = request.sent
    error = json.loads(part["body"])["error"]
    assert (start["status"], error["code"], error["detail"]) == (503, "unavailable", {"session_id": str(session.id)})
    assert error["request_id"] == dict(start["headers"])[b"X-Request-Id"].decode()


async def test_a_client_that_leaves_is_forgotten(agent: Agent, token: str) -> None:
    request = sync_request(agent, token)
    await session_of(agent)
    await request.waits()
    request.leave()
    await asyncio.wait_for(request.task, 10)
    assert request.sent == []
    assert not reader.reader()._followers


async def test_a_refusal_is_answered_at_once(agent: Agent) -> None:
    status, _, body = await sync_request(agent, "no token").answer()
    assert (status, body["error"]["code"]) == (401, "unauthenticated")


async def test_many_wait_with_one_reader_and_no_thread_each(agent: Agent, committed_world: World) -> None:
    sessions = [await sync_to_async(invoked)(agent, committed_world.alice) for _ in range(20)]
    alice = await sync_to_async(actor_of)(committed_world.alice)
    rounds: list[int] = []
    read = reader.states_of

    def counted(ids: Any) -> Any:
        rounds.append(len(list(ids)))
        return read(ids)

    def answering(session: AgentSession) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            response = mark(HttpResponse(b'{"status": "pending"}'), session.id, alice)
            headers = [(name.encode(), value.encode()) for name, value in response.headers.items()]
            await send({"type": "http.response.start", "status": 201, "headers": headers})
            await send({"type": "http.response.body", "body": response.content})

        return WaitingApp(app)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "states_of", counted)
        requests = [Request(answering(session), "/") for session in sessions]
        for session in sessions:
            await sync_to_async(observe)(session, event("session.status_idle", stop_reason=DONE))
        for request in requests:
            assert (await request.answer())[2]["status"] == "idle_end_turn"
    assert max(rounds) > 1, "each was asked about alone"


async def test_a_mark_on_a_request_means_nothing_and_is_not_sent_back(agent: Agent, committed_world: World) -> None:
    session = await sync_to_async(invoked)(agent, committed_world.alice)
    spoofed = (HEADER.lower().encode(), f"guessed {session.id}".encode())
    status, headers, _ = await Request(application, "/healthz", method="GET", headers=[spoofed]).answer()
    assert status == 200
    assert HEADER.lower().encode() not in {name.lower() for name in headers}


async def test_a_dry_run_waits_for_nothing(agent: Agent, token: str) -> None:
    body = {"prompt": "x", "mode": "sync"}
    path = f"/api/agents/{agent.id}/invoke"
    status, _, answer = await Request(application, path, token, body, query=b"dry_run=true").answer()
    assert (status, answer["dry_run"]) == (200, True)
    assert not await AgentSession.objects.aexists()


async def test_nobody_outside_can_make_the_mark(agent: Agent, committed_world: World) -> None:
    session = await sync_to_async(invoked)(agent, committed_world.alice)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        forged = (HEADER.encode(), f"guessed {session.id}".encode())
        await send({"type": "http.response.start", "status": 200, "headers": [forged]})
        await send({"type": "http.response.body", "body": b"{}"})

    status, headers, _ = await Request(WaitingApp(app), "/").answer()
    assert (status, headers) == (200, {})
