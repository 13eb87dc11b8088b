"""No input makes a route fail: whatever comes in, the answer is one that the contract names, in the one error shape."""

import json
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.tokens import sign_in_token
from powerloom.api.v1 import api
from powerloom.audit.log import chain_of
from powerloom.audit.verification import verify_chain
from tests.database import undone
from tests.declared import make_agent, make_skill
from tests.integration.api.guesses import Guess, Guesser
from tests.world import World, bind, make_group

DOCUMENT: dict[str, Any] = json.loads(json.dumps(api.get_openapi_schema(path_prefix="")))
OPERATIONS = [
    (method, path, operation) for path, found in DOCUMENT["paths"].items() for method, operation in found.items()
]
EXAMPLES = 8

pytestmark = pytest.mark.postgres_only  # it refuses whatever SQLite does, and more: NUL in a text, say


def ids_of(world: World) -> list[str]:
    """Ids of all kinds of things, ours and foreign."""
    agent, skill = make_agent(world.alice, world.engineering), make_skill(world.alice, world.engineering)
    group = make_group(world.engineering, "existing", world.eve)
    binding = bind(group, "AgentViewer", world.sales)
    things = (
        world.root,
        world.sales,
        world.alice,
        world.eve,
        world.mallory,
        agent,
        skill,
        group,
        binding,
        binding.role,
    )
    return [str(thing.id) for thing in things]


def send(client: Client, guess: Guess) -> Any:
    return client.generic(guess.method, guess.path, guess.body, content_type=guess.content_type, headers=guess.headers)


def content_of(response: Any) -> bytes:
    found: bytes = response.getvalue() if response.streaming else response.content
    return found


def is_refusal(body: Any, described: dict[str, Any]) -> bool:
    """Tell whether a body has the one error shape, or the one that the route names as its own: OAuth's."""
    if "content" in described and body.keys() == {"error", "error_description"}:
        return True
    return set(body["error"]) == {"code", "message", "detail", "request_id"}


@pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[f"{method} {path}" for method, path, _ in OPERATIONS]
)
def test_whatever_comes_in_the_answer_is_one_that_the_contract_names(
    world: World, method: str, path: str, operation: dict[str, Any]
) -> None:
    guesser = Guesser(DOCUMENT, ids_of(world))
    bearer = f"Bearer {sign_in_token(world.alice)}"
    client = Client(raise_request_exception=False, headers={"host": "localhost", "authorization": bearer})

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
    @given(st.data())
    def no_input_breaks_it(data: st.DataObject) -> None:
        guess = data.draw(guesser.requests(method, path, operation))
        with undone():
            response = send(client, guess)
            content = content_of(response)
            assert response.status_code < 500, f"{guess}: {content[:500]!r}"
            # A guessed id may make the path another route's, or no route at all.
            known = {*operation["responses"], "404", "405"}
            assert str(response.status_code) in known or "dry_run" in guess.path, f"{guess}: {content[:500]!r}"
            if response.status_code >= 400:
                assert is_refusal(json.loads(content), operation["responses"].get(str(response.status_code), {}))
            verdict = verify_chain(chain_of(world.acme.id))
            assert verdict.is_intact, verdict.reason

    no_input_breaks_it()
