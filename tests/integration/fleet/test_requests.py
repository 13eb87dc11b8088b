"""What the fleet answers, request by request: the application itself, in this process, on a database of its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connection

from agents.backends.base import Answer, Served, Unfit
from agents.backends.echo import EchoBackend
from agents.fleet import calls
from agents.fleet.app import Fleet, application
from agents.fleet.probing import probe_token
from agents.mcp.template import Call
from agents.models import MCPCall, MCPDeployment
from tests.fleet import Caller, make_caller, set_policy
from tests.world import World

JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
CANARY = "canary-of-an-argument"


@pytest.fixture
def caller(committed_world: World) -> Caller:
    return make_caller(committed_world.bob, committed_world.platform)


class Backend(EchoBackend):
    """Does what a test says when it is asked for it by its argument."""

    async def call(self, served: Served[Any, Any], call: Call) -> Answer:
        match getattr(call.arguments, "text", ""):
            case "hang":
                await asyncio.Event().wait()
            case "break":
                raise DatabaseError(f"could not connect with {CANARY}")
            case "unfit":
                raise Unfit("connect", "The database does not answer.")
            case "flood":
                return Answer("x" * (calls.MOST_RESULT + 1))
            case "forget":
                await sync_to_async(drop_the_log)()
                return Answer("forgotten")
            case "structured":
                return Answer("two", {"rows": [1, 2]})
        return await super().call(served, call)


def drop_the_log() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE agents_mcpcall RENAME TO agents_gone")


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """The fleet in this loop, and a client of it."""
    fleet = Fleet(run_by={"echo": Backend()}, **options)
    app = application(fleet)
    async with (
        fleet.running(),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://127.0.0.1:8001") as client,
    ):
        yield client


async def ask(
    client: httpx2.AsyncClient, path: str, bearer: str, method: str, params: dict[str, Any] | None = None, **more: Any
) -> httpx2.Response:
    """Send one JSON-RPC request."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}, **more}
    return await client.post(path, json=body, headers={**JSON, "authorization": f"Bearer {bearer}"})


async def call(client: httpx2.AsyncClient, caller: Caller, tool: str = "echo", **arguments: Any) -> Any:
    """Call a tool and return its result."""
    answer = await ask(client, caller.path, caller.bearer, "tools/call", {"name": tool, "arguments": arguments})
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def text_of(result: Any) -> str:
    text: str = result["content"][0]["text"]
    return text


@sync_to_async
def logged() -> list[MCPCall]:
    return list(MCPCall.objects.order_by("pk"))


# --- The door


async def test_without_a_good_bearer_it_is_401_and_says_how_to_come(caller: Caller) -> None:
    plain, wrong = 'Bearer realm="powerloom"', 'Bearer realm="powerloom", error="invalid_token"'
    async with serving() as client:
        for header, expected in [
            ({}, plain),
            ({"authorization": ""}, plain),
            ({"authorization": "Bearer"}, plain),
            ({"authorization": "Bearer   "}, plain),
            ({"authorization": f"Basic {caller.bearer}"}, plain),
            ({"authorization": "Bearer wrong"}, wrong),
            ({"authorization": f"Bearer {caller.bearer}x"}, wrong),
        ]:
            for method in ("POST", "GET", "DELETE"):
                answer = await client.request(method, caller.path, headers=header)
                assert answer.status_code == 401, (method, header)
                assert answer.headers["www-authenticate"].startswith(expected), header
                assert caller.bearer not in answer.text
        for scheme in ("Bearer", "bearer", "BEARER"):
            answer = await client.get(caller.path, headers={"authorization": f"{scheme} {caller.bearer}"})
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_another_deployment_and_none_at_all_look_alike(caller: Caller) -> None:
    absent = "/mcp/01890000-0000-7000-8000-000000000000/mcp"
    async with serving() as client:
        answers = [
            await ask(client, path, caller.bearer, "ping") for path in (absent, absent.upper().replace("MCP", "mcp"))
        ]
    assert [answer.status_code for answer in answers] == [401, 401]


async def test_nothing_else_is_served(caller: Caller) -> None:
    beside = ["/", "/mcp", "/mcp/", "/healthz", "/mcp/x/mcp", "/mcp//mcp", "/api/agents"]
    around = [f"{caller.path}/", f"{caller.path}/more", f"/mcp{caller.path}", f"/x/..{caller.path}x"]
    async with serving() as client:
        for path in [*beside, *around]:
            assert (await ask(client, path, caller.bearer, "ping")).status_code == 404, path


async def test_pages_of_other_sites_are_sent_away(caller: Caller) -> None:
    async with serving() as client:
        for origin, status in [
            ("https://evil.example", 403),
            ("http://127.0.0.1.evil.example", 403),
            ("null", 403),
            ("http://127.0.0.1:8001", 405),
            ("http://localhost:3000", 405),
        ]:
            headers = {"authorization": f"Bearer {caller.bearer}", "origin": origin}
            assert (await client.get(caller.path, headers=headers)).status_code == status, origin


async def test_a_body_over_the_limit_is_refused_unread(caller: Caller) -> None:
    async def in_pieces() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 65536

    headers = {**JSON, "authorization": f"Bearer {caller.bearer}"}
    async with serving() as client:
        for content in (b" " * (1024 * 1024 + 1), in_pieces()):
            assert (await client.post(caller.path, content=content, headers=headers)).status_code == 413
    assert await logged() == []


MALFORMED = [
    (b"", 400),
    (b"{", 400),
    (b"\xff\xfe", 400),
    (b"[]", 400),
    (b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', 400),
    (b'"text"', 400),
    (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', 400),
    (b"[" * 100_000, 400),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": []}', 400),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 5}}', 200),
    (b'{"jsonrpc": "2.0", "id": 1, "method": "no/such"}', 200),
]


async def test_malformed_messages_get_an_error_and_no_more(caller: Caller) -> None:
    headers = {**JSON, "authorization": f"Bearer {caller.bearer}"}
    async with serving() as client:
        for body, status in MALFORMED:
            answer = await client.post(caller.path, content=body, headers=headers)
            assert (answer.status_code, "error" in answer.json()) == (status, True), (body[:80], answer.text)
        assert text_of(await call(client, caller, text="still here")) == "still here"
    assert len(await logged()) == 1


@pytest.mark.sqlite_only  # a pool keeps its connections, wherever the settings point
async def test_a_database_that_is_away_is_503_and_not_a_refusal(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as client:
        with monkeypatch.context() as patch:
            patch.setitem(connection.settings_dict, "NAME", "/nowhere/at/all")
            answer = await ask(client, caller.path, caller.bearer, "ping")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


# --- What is listed


async def test_the_tools_are_listed_with_their_schemas_less_what_policy_denies(caller: Caller) -> None:
    async with serving() as client:
        tools = (await ask(client, caller.path, caller.bearer, "tools/list")).json()["result"]["tools"]
        assert [tool["name"] for tool in tools] == ["echo", "echo_slowly", "fail"]
        schema = tools[0]["inputSchema"]
        assert (schema["type"], schema["required"], schema["additionalProperties"]) == ("object", ["text"], False)
        await sync_to_async(set_policy)(
            caller.deployment, {"denied_tools": ["fail"], "allowed_tools": ["fail", "echo"]}
        )
        tools = (await ask(client, caller.path, caller.bearer, "tools/list")).json()["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["echo"]


async def test_a_probe_of_ours_lists_and_calls_nothing(caller: Caller) -> None:
    probe = probe_token(caller.deployment.pk)
    async with serving() as client:
        listed = await ask(client, caller.path, probe, "tools/list")
        assert len(listed.json()["result"]["tools"]) == 3
        called = await ask(client, caller.path, probe, "tools/call", {"name": "echo", "arguments": {"text": "x"}})
    assert called.json()["result"]["isError"] is True
    [row] = await logged()
    assert (row.outcome, row.rule, row.agent_id) == ("denied", "probe", None)


# --- What is called


async def test_a_call_is_answered_and_logged_without_its_arguments(caller: Caller) -> None:
    async with serving() as client:
        assert text_of(await call(client, caller, text=CANARY)) == CANARY
        assert (await call(client, caller, text="structured"))["structuredContent"] == {"rows": [1, 2]}
        failed = await call(client, caller, "fail", message=CANARY)
    assert (failed["isError"], text_of(failed)) == (True, CANARY)
    rows = await logged()
    assert [(row.tool, row.outcome) for row in rows] == [("echo", "ok"), ("echo", "ok"), ("fail", "error")]
    row = rows[0]
    assert (row.organization_id, row.deployment_id) == (caller.deployment.organization_id, caller.deployment.pk)
    assert (row.agent_id, row.credential_id, row.session_id) == (
        caller.agent.pk,
        caller.credential.pk,
        caller.session.pk,
    )
    assert CANARY not in json.dumps([str(vars(one)) for one in rows])


NOT_VALID = "The arguments are not valid."
TOO_MUCH = f"The tool answered more than {calls.MOST_RESULT} characters. Ask for less."
WRONG: list[tuple[str, dict[str, Any], str, str]] = [
    ("echo", {}, "text: Field required", NOT_VALID),
    ("echo", {"text": 5}, "text: Input should be a valid string", NOT_VALID),
    ("echo", {"text": "x", CANARY: 1}, "Extra inputs are not permitted", NOT_VALID),
    ("echo_slowly", {"text": "x", "seconds": 31}, "less than or equal to 30", NOT_VALID),
    ("echo", {"text": "hang"}, "longer than 0.2 seconds", "The tool took longer than 0.2 seconds."),
    ("echo", {"text": "break"}, "The tool failed: DatabaseError.", "The tool failed: DatabaseError."),
    ("echo", {"text": "unfit"}, "The database does not answer.", "connect: The database does not answer."),
    ("echo", {"text": "flood"}, "Ask for less", TOO_MUCH),
]


async def test_what_goes_wrong_is_a_tool_error_in_words_of_ours(caller: Caller) -> None:
    async with serving(seconds=0.2) as client:
        for tool, arguments, told, _ in WRONG:
            result = await call(client, caller, tool, **arguments)
            assert result["isError"] is True, arguments
            assert told in text_of(result)
    rows = await logged()
    assert [(row.tool, row.words) for row in rows] == [(tool, words) for tool, _, _, words in WRONG]
    assert {(row.outcome, row.rule) for row in rows} == {("error", "")}


async def test_an_unknown_tool_is_an_error_of_the_protocol_and_its_name_is_not_kept(caller: Caller) -> None:
    async with serving() as client:
        answer = await ask(client, caller.path, caller.bearer, "tools/call", {"name": CANARY, "arguments": {}})
    assert answer.json()["error"]["code"] == -32602
    [row] = await logged()
    assert (row.tool, row.outcome, row.words) == ("", "error", "There is no such tool.")


async def test_a_denied_call_names_the_rule_and_a_change_counts_from_the_next_call_on(caller: Caller) -> None:
    async with serving() as client:
        assert not (await call(client, caller, text="x"))["isError"]
        await sync_to_async(set_policy)(caller.deployment, {"denied_tools": ["echo"]})
        denied = await call(client, caller, text=CANARY)
        assert denied["isError"]
        assert "denied_tools" in text_of(denied)
        await sync_to_async(set_policy)(caller.deployment, {})
        assert not (await call(client, caller, text="x"))["isError"]
    assert [(row.outcome, row.rule) for row in await logged()] == [("ok", ""), ("denied", "denied_tools"), ("ok", "")]


async def test_a_policy_that_no_longer_fits_lets_nothing_through(caller: Caller) -> None:
    await sync_to_async(MCPDeployment.objects.filter(pk=caller.deployment.pk).update)(policy={"unheard_of": True})
    async with serving() as client:
        assert (await call(client, caller, text="x"))["isError"]
        listed = await ask(client, caller.path, caller.bearer, "tools/list")
    assert listed.json()["error"]["code"] == -32603


async def test_over_the_rate_the_tool_says_when_to_come_again(caller: Caller) -> None:
    await sync_to_async(set_policy)(caller.deployment, {"calls_per_minute": 2})
    async with serving() as client:
        results = [await call(client, caller, text="x") for _ in range(3)]
        assert (await ask(client, caller.path, caller.bearer, "tools/list")).status_code == 200
    assert [result["isError"] for result in results] == [False, False, True]
    assert "Try again in" in text_of(results[2])
    assert [row.rule for row in await logged()] == ["", "", "calls_per_minute"]


async def test_a_call_that_cannot_be_recorded_is_not_answered(caller: Caller) -> None:
    async with serving() as client:
        params = {"name": "echo", "arguments": {"text": "forget"}}
        answer = await ask(client, caller.path, caller.bearer, "tools/call", params)
    assert "forgotten" not in answer.text
    assert answer.json()["error"]["code"] == -32603


async def test_calls_at_once_are_stored_together_and_each_before_its_answer(caller: Caller) -> None:
    async with serving() as client:

        async def one(number: int) -> None:
            assert text_of(await call(client, caller, text=str(number))) == str(number)

        await asyncio.gather(*map(one, range(50)))
        assert len(await logged()) == 50
