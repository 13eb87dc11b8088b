"""What every route shares: keys, the beta header, request ids, error bodies; and the models list."""

import anthropic
import httpx2
import pytest
from anthropic import AsyncAnthropic

from powerloom.kernel.tls import trust
from tests.contract.conftest import MODEL, Service

BETA = {"anthropic-beta": "managed-agents-2026-04-01", "anthropic-version": "2023-06-01"}


@pytest.fixture
async def plain(service: Service) -> httpx2.AsyncClient:
    headers = {**BETA, "x-api-key": service.key}
    return httpx2.AsyncClient(base_url=service.url, headers=headers, verify=trust(), trust_env=False)


async def test_a_wrong_key_is_401(service: Service) -> None:
    async with Service(service.url, "wrong").client() as stranger:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            await stranger.beta.agents.list()
    assert refused.value.type == "authentication_error"
    assert refused.value.request_id


async def test_the_older_key_header_is_taken_too(plain: httpx2.AsyncClient) -> None:
    async with plain as http:
        answer = await http.get("/v1/agents", params={"limit": 1, "beta": "true"})
    assert answer.status_code == 200
    assert set(answer.json()) == {"data", "next_page"}


async def test_without_the_beta_header_the_routes_are_not_there(plain: httpx2.AsyncClient) -> None:
    async with plain as http:
        del http.headers["anthropic-beta"]
        answer = await http.get("/v1/agents")
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "not_found_error"


async def test_every_answer_names_its_request(plain: httpx2.AsyncClient) -> None:
    async with plain as http:
        good = await http.get("/v1/agents")
        bad = await http.get("/v1/agents/agent_01nowhere")
    assert good.headers["request-id"]
    assert bad.json()["request_id"] == bad.headers["request-id"] != good.headers["request-id"]
    assert bad.json()["type"] == "error"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b'{"name": NaN}'])
async def test_a_body_that_is_no_json_object_is_400(plain: httpx2.AsyncClient, body: bytes) -> None:
    async with plain as http:
        answer = await http.post("/v1/agents", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "include_archived=maybe", "page=%00"])
async def test_a_parameter_that_makes_no_sense_is_400(plain: httpx2.AsyncClient, query: str) -> None:
    async with plain as http:
        answer = await http.get(f"/v1/agents?{query}")
    assert answer.status_code == 400


async def test_models_are_listed_by_id(client: AsyncAnthropic) -> None:
    listed = [model.id async for model in client.models.list(limit=5)]
    assert MODEL in listed
    assert len(listed) == len(set(listed))
    assert (await client.models.retrieve(MODEL)).type == "model"
    with pytest.raises(anthropic.NotFoundError):
        await client.models.retrieve("claude-x-no-such-model")
