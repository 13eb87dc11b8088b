"""Two at once on one agent's credential: one row, one showing, nothing lost between them."""

from typing import Any

import pytest

from agents.commands import RevealCredential
from agents.models import Credential
from powerloom.commands.bus import submit
from powerloom.kernel.errors import Conflict
from tests.database import Race
from tests.declared import make_agent
from tests.wired import make_credential, make_foreign, make_managed
from tests.world import World, actor_of, api_of


@pytest.fixture
def world(committed_world: World) -> World:
    return committed_world


def test_two_posts_make_one_row(world: World, race: Race) -> None:
    agent, server = make_agent(world.alice, world.engineering), make_managed(world.engineering)
    body = {"agent_id": str(agent.id), "mcp_server_registration_id": str(server.id)}

    def post() -> Any:
        return api_of(world.bob).post("/credentials", body)

    answers = race(post, post)
    assert [answer.status_code < 300 for answer in answers] == [True, True], answers
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Credential.objects.count() == 1


def test_of_two_that_would_see_the_value_one_does(world: World, race: Race) -> None:
    agent, server = make_agent(world.alice, world.engineering), make_foreign(world.engineering)
    credential = make_credential(world.alice, agent, server)

    def reveal() -> Any:
        return submit(RevealCredential(credential_id=credential.id), actor=actor_of(world.alice))

    outcomes = race(reveal, reveal)
    assert sorted(isinstance(outcome, Conflict) for outcome in outcomes) == [False, True]
