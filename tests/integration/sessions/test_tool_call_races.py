"""A call that asks has one request and one answer, whoever comes at the same moment."""

import pytest

from agents.models import Agent
from approvals import replay
from approvals.models import ApprovalRequest
from sessions import asking
from sessions.models import AgentSession, SessionInput
from tests.database import Race
from tests.held import decide
from tests.recorded import live_agent
from tests.waiting_calls import asked, built_in, confirmed, waiting
from tests.world import World, api_of


@pytest.fixture
def agent(committed_world: World) -> Agent:
    return live_agent(committed_world)


def test_two_sweeps_open_it_once(committed_world: World, agent: Agent, race: Race) -> None:
    session = waiting(agent, committed_world.bob, built_in())
    race(asking.follow, asking.follow, lambda: asking._follow(session.pk))
    assert ApprovalRequest.objects.count() == 1
    assert AgentSession.objects.get(pk=session.pk).asks_due_at is None


def test_a_decision_in_the_inbox_and_an_answer_on_the_session_have_one_winner(
    committed_world: World, agent: Agent, race: Race
) -> None:
    call = built_in()
    session, request = asked(agent, committed_world.bob, call)
    inbox, direct = race(
        lambda: decide(committed_world.vera, request, "reject").status_code,
        lambda: confirmed(api_of(committed_world.bob), session, call).status_code,
    )
    assert sorted([inbox, direct]) == [200, 409]
    replay.run()
    [answer] = SessionInput.objects.filter(kind="confirmation")
    assert answer.event["result"] == ("deny" if inbox == 200 else "allow")
    request.refresh_from_db()
    assert (request.status, request.outcome) == (("rejected", "") if inbox == 200 else ("approved", "applied"))
    assert replay.run() == 0
