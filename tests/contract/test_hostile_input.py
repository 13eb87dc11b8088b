"""Whatever comes in, the runtime answers with CMA's error and never with a 500."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from powerloom.kernel.tls import trust
from tests.contract.conftest import MODEL
from tests.local_runtime import LocalRuntime

HEADERS = {"anthropic-beta": "managed-agents-2026-04-01", "content-type": "application/json"}
POSTS = (
    "/v1/agents",
    "/v1/agents/{agent}",
    "/v1/environments",
    "/v1/environments/{environment}",
    "/v1/sessions",
    "/v1/sessions/{session}",
    "/v1/sessions/{session}/events",
    "/v1/sessions/{session}/resources",
    "/v1/vaults",
    "/v1/vaults/{vault}",
    "/v1/vaults/{vault}/credentials",
)
GETS = ("/v1/agents", "/v1/sessions", "/v1/sessions/{session}/events", "/v1/files", "/v1/skills", "/v1/models")

WORDS = st.sampled_from(
    [
        "name",
        "model",
        "system",
        "tools",
        "type",
        "agent_toolset_20260401",
        "configs",
        "bash",
        "enabled",
        "mcp_servers",
        "mcp_toolset",
        "url",
        "custom",
        "input_schema",
        "properties",
        "object",
        "metadata",
        "skills",
        "version",
        "agent",
        "environment_id",
        "config",
        "cloud",
        "networking",
        "limited",
        "packages",
        "pip",
        "auth",
        "static_bearer",
        "token",
        "mcp_server_url",
        "events",
        "user.message",
        "content",
        "text",
        "image",
        "source",
        "base64",
        "user.tool_confirmation",
        "tool_use_id",
        "result",
        "allow",
        "user.interrupt",
        "title",
        "vault_ids",
        "resources",
        "file",
        "budget",
        "default_config",
        "permission_policy",
        "always_ask",
        "display_name",
        "initial_events",
        "description",
        "multiagent",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | WORDS | st.just(MODEL)
JSONS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=10), inner, max_size=6),
    max_leaves=20,
)


@pytest.fixture(scope="module")
def client(runtime: LocalRuntime) -> Iterator[httpx.Client]:
    headers = {**HEADERS, "x-api-key": runtime.key}
    with httpx.Client(base_url=runtime.url, headers=headers, verify=trust(), trust_env=False, timeout=30) as made:
        yield made


@pytest.fixture(scope="module")
def ids(client: httpx.Client) -> dict[str, str]:
    agent = client.post("/v1/agents", json={"name": "a", "model": MODEL}).json()["id"]
    environment = client.post("/v1/environments", json={"name": "e"}).json()["id"]
    session = client.post("/v1/sessions", json={"agent": agent, "environment_id": environment}).json()["id"]
    vault = client.post("/v1/vaults", json={"display_name": "v"}).json()["id"]
    return {"agent": agent, "environment": environment, "session": session, "vault": vault}


def check(answer: httpx.Response) -> None:
    """Success, or an error in CMA's shape that is the client's fault."""
    assert answer.status_code < 500, answer.text
    body = json.loads(answer.content, parse_constant=pytest.fail)  # NaN would be no JSON
    if answer.status_code >= 400:
        assert set(body) == {"type", "error", "request_id"}
        assert body["error"]["message"]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(path=st.sampled_from(POSTS), body=JSONS | st.dictionaries(WORDS, JSONS, max_size=6))
def test_no_json_body_breaks_it(client: httpx.Client, ids: dict[str, str], path: str, body: Any) -> None:
    check(client.post(path.format(**ids), content=json.dumps(body)))


GOOD: list[tuple[str, Any]] = [
    (
        "/v1/agents",
        {
            "name": "a",
            "model": {"id": MODEL, "effort": {"type": "low"}, "speed": "fast"},
            "tools": [
                {
                    "type": "agent_toolset_20260401",
                    "default_config": {"enabled": True, "permission_policy": {"type": "auto"}},
                    "configs": [{"name": "web_fetch", "url_sources": {"user_input": "all"}, "allowed_domains": ["a"]}],
                },
                {"type": "mcp_toolset", "mcp_server_name": "m", "configs": [{"name": "t", "enabled": False}]},
                {"type": "custom", "name": "c", "description": "d", "input_schema": {"type": "object"}},
            ],
            "mcp_servers": [{"type": "url", "name": "m", "url": "https://m.example/mcp"}],
            "skills": [{"type": "anthropic", "skill_id": "pdf"}],
            "metadata": {"k": "v"},
            "execution_identity": {"type": "service_account"},
        },
    ),
    (
        "/v1/environments",
        {
            "name": "e",
            "config": {
                "type": "cloud",
                "networking": {"type": "limited", "allowed_hosts": ["a"], "allow_package_managers": True},
                "packages": {"pip": ["rich"]},
            },
        },
    ),
    (
        "/v1/sessions/{session}/events",
        {
            "events": [
                {
                    "type": "user.message",
                    "content": [
                        {"type": "text", "text": "t"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "x"}},
                        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}},
                    ],
                },
                {"type": "system.message", "content": [{"type": "text", "text": "t"}]},
            ]
        },
    ),
    (
        "/v1/vaults/{vault}/credentials",
        {
            "auth": {
                "type": "mcp_oauth",
                "mcp_server_url": "https://m.example/mcp",
                "access_token": "t",
                "expires_at": "2999-01-01T00:00:00Z",
                "refresh": {
                    "refresh_token": "r",
                    "client_id": "c",
                    "token_endpoint": "https://t.example",
                    "token_endpoint_auth": {"type": "client_secret_post", "client_secret": "s"},
                },
            }
        },
    ),
    (
        "/v1/vaults/{vault}/credentials",
        {
            "auth": {
                "type": "environment_variable",
                "secret_name": "N",
                "secret_value": "s",
                "networking": {"type": "limited", "allowed_hosts": ["a"]},
                "injection_location": {"header": True},
            }
        },
    ),
]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a body with a key or index of it."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from places(value[key])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(good=st.sampled_from(GOOD), place=st.integers(0, 1000), other=JSONS)
def test_no_good_body_with_one_part_replaced_breaks_it(
    client: httpx.Client, ids: dict[str, str], good: tuple[str, Any], place: int, other: Any
) -> None:
    path, body = copy.deepcopy(good)
    everywhere = list(places(body))
    container, key = everywhere[place % len(everywhere)]
    container[key] = other
    check(client.post(path.format(**ids), content=json.dumps(body)))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    path=st.sampled_from(GETS),
    query=st.dictionaries(
        st.sampled_from(
            [
                "limit",
                "page",
                "order",
                "types[]",
                "created_at[gt]",
                "agent_version",
                "agent_id",
                "ids[]",
                "statuses[]",
                "include_archived",
                "after_id",
                "source",
                "scope_id",
            ]
        ),
        st.text(alphabet=st.characters(codec="utf-8"), max_size=12) | st.integers().map(str),
        max_size=4,
    ),
)
def test_no_query_breaks_it(client: httpx.Client, ids: dict[str, str], path: str, query: dict[str, str]) -> None:
    check(client.get(path.format(**ids), params=query))


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    kind=st.sampled_from(
        ["multipart/form-data; boundary=b", "multipart/form-data", "text/plain", "multipart/form-data; boundary="]
    ),
    head=st.sampled_from(
        [
            b"",
            b"--b\r\n",
            b'--b\r\nContent-Disposition: form-data; name="files[]"; filename="x/SKILL.md"\r\n\r\n',
            b'--b\r\nContent-Disposition: form-data; name="display_name"\r\n\r\n\xff\xfe\r\n',
        ]
    ),
    body=st.binary(max_size=200),
    tail=st.sampled_from([b"", b"\r\n--b--\r\n", b"\r\n--b--"]),
)
def test_no_upload_breaks_it(client: httpx.Client, kind: str, head: bytes, body: bytes, tail: bytes) -> None:
    for path in ("/v1/skills", "/v1/files"):
        check(client.post(path, content=head + body + tail, headers={"content-type": kind}))


@pytest.mark.parametrize(
    "body",
    [
        '{"name": "a", "model": "' + MODEL + '", "metadata": {"k": "\\ud800"}}',
        '{"name": "a", "model": "' + MODEL + '", "name": "b"}',
        '{"name": "a\\u0000b", "model": "' + MODEL + '"}',
        "[" * 10_000,
        '{"a":' * 5_000,
        '{"name": 1e999, "model": 1}',
        "1" * 10_000,
    ],
    ids=["surrogate", "twice", "nul", "deep list", "deep object", "huge float", "huge integer"],
)
def test_odd_json_is_taken_or_refused(client: httpx.Client, body: str) -> None:
    check(client.post("/v1/agents", content=body))


def test_numbers_too_big_to_write_down_are_refused(client: httpx.Client, ids: dict[str, str]) -> None:
    tool = '{"type":"custom","name":"t","description":"d","input_schema":{"type":"object","properties":{"a":%s}}}'
    for number in ("1e999", "-1e999", "9" * 5000):
        answer = client.post("/v1/agents/{agent}".format(**ids), content='{"tools":[' + tool % number + "]}")
        check(answer)
        assert answer.status_code == 400


def test_a_body_beyond_the_limit_is_413(client: httpx.Client) -> None:
    answer = client.post("/v1/agents", content=b'{"name": "' + b"x" * (33 * 1024 * 1024) + b'"}')
    assert answer.status_code == 413
    assert answer.json()["error"]["type"] == "request_too_large"


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/agents/", "/v1/agents/a/b/c", "/v1/memory_stores", "/v1//agents", "/v2/agents"]
)
def test_unknown_routes_and_methods_have_cmas_error_too(client: httpx.Client, path: str) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        answer = client.request(method, path)
        check(answer)
        assert answer.status_code in {404, 405}
