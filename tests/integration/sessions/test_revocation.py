"""A session that is under way stops when a right that it runs on is lost."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Binding
from agents.kinds import SyncKind
from agents.models import AccessWatch, Agent, Skill
from powerloom.kernel.ids import new_id
from sessions import revocation
from sessions.commands import InvokeAgent
from sessions.models import AgentSession, SessionInput, Status
from tests.connected import attach_server, make_server
from tests.declared import attach, done, make_agent, make_live, make_skill, make_version
from tests.standing import standing
from tests.world import World, api_of, bind

pytestmark = pytest.mark.usefixtures("session")


@standing
def skill_right(world: World) -> Binding:
    return bind(world.bob, "SkillUser", world.sales)


@standing
def skill(world: World) -> Skill:
    skill = make_skill(world.alice, world.sales)
    make_version(world.alice, skill)
    return skill


@standing
def agent(world: World, skill: Skill, skill_right: Binding) -> Agent:
    """Bob's agent with a skill that he may use."""
    agent = make_agent(world.bob, world.engineering)
    attach(world.bob, agent, skill)
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT})
    return agent


@standing
def invoke_right(world: World) -> Binding:
    return bind(world.eve, "AgentOperator", world.engineering)


@standing
def session(world: World, agent: Agent, invoke_right: Binding) -> AgentSession:
    """A running session that Eve began, and nothing unjudged."""
    return begun(world, agent)


def begun(world: World, agent: Agent) -> AgentSession:
    session: AgentSession = done(InvokeAgent(id=new_id(), agent_id=agent.id, prompt="Look."), world.eve)
    SessionInput.objects.filter(session=session).update(sent_at=timezone.now())
    AgentSession.objects.filter(pk=session.pk).update(status=Status.RUNNING, cma_session_id="session_1")
    revocation.follow_access()
    return session


def orders(session: AgentSession) -> list[str]:
    return list(SessionInput.objects.filter(session=session, kind="interrupt").values_list("author_ref", flat=True))


def revoke(world: World, binding: Binding) -> None:
    assert api_of(world.alice).delete(f"/role-bindings/{binding.id}").status_code in {200, 204}


def disable(world: World, who: object) -> None:
    assert api_of(world.alice).patch(f"/users/{who}", {"is_active": False}).status_code == 200


def test_it_runs_on_while_other_rights_change(world: World, session: AgentSession) -> None:
    revoke(world, bind(world.vera, "SkillUser", world.sales))
    assert revocation.follow_access() == 1
    assert orders(session) == []


def test_it_stops_when_its_invoker_may_no_longer_invoke(
    world: World, session: AgentSession, invoke_right: Binding
) -> None:
    revoke(world, invoke_right)
    revocation.follow_access()
    assert orders(session) == [revocation.INVOKER]


def test_it_stops_when_its_invoker_is_disabled(world: World, session: AgentSession) -> None:
    disable(world, world.eve.id)
    revocation.follow_access()
    assert orders(session) == [revocation.INVOKER]


def test_it_stops_when_the_agents_owner_may_no_longer_use_one_of_its_servers(
    world: World, invoke_right: Binding
) -> None:
    right = bind(world.bob, "AgentOwner", world.sales)
    agent = make_agent(world.bob, world.engineering, "caller")
    attach_server(world.bob, agent, make_server(world.sales))
    make_live(agent.id, kinds={SyncKind.ENVIRONMENT, SyncKind.CREDENTIAL})
    session = begun(world, agent)
    revoke(world, right)
    revocation.follow_access()
    assert orders(session) == [revocation.SERVER]


def test_it_stops_when_the_agents_owner_is_disabled(world: World, session: AgentSession) -> None:
    disable(world, world.bob.id)
    revocation.follow_access()
    assert orders(session) == [revocation.OWNER]


def test_it_stops_when_the_owner_may_no_longer_use_a_skill(
    world: World, session: AgentSession, skill_right: Binding
) -> None:
    revoke(world, skill_right)
    revocation.follow_access()
    assert orders(session) == [revocation.SKILL]


def test_it_stops_when_the_binding_it_rests_on_expires(session: AgentSession, invoke_right: Binding) -> None:
    Binding.objects.filter(pk=invoke_right.pk).update(expires_at=timezone.now())
    AccessWatch.objects.update(checked_at=timezone.now() - timedelta(seconds=2))
    revocation.follow_access()
    assert orders(session) == [revocation.INVOKER]


def test_one_that_has_not_started_ends_at_once(world: World, session: AgentSession, invoke_right: Binding) -> None:
    AgentSession.objects.filter(pk=session.pk).update(status=Status.PENDING, cma_session_id="")
    revoke(world, invoke_right)
    revocation.follow_access()
    session.refresh_from_db()
    assert (session.status, session.stop_reason) == ("terminated", "interrupted")


def test_what_waits_to_be_said_is_not_said_any_more(world: World, session: AgentSession, invoke_right: Binding) -> None:
    assert api_of(world.eve).post(f"/sessions/{session.id}/messages", {"text": "and then"}).status_code == 200
    revoke(world, invoke_right)
    revocation.follow_access()
    waiting = SessionInput.objects.filter(session=session, sent_at__isnull=True, refused="")
    assert list(waiting.values_list("kind", flat=True)) == ["interrupt"]


def test_one_order_to_stop_is_enough(world: World, session: AgentSession, invoke_right: Binding) -> None:
    revoke(world, invoke_right)
    revocation.follow_access()
    disable(world, world.eve.id)
    revocation.follow_access()
    assert len(orders(session)) == 1


def test_an_idle_look_is_one_query(session: AgentSession) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert revocation.follow_access() == 0
    assert len(captured) == 1


def test_judging_costs_the_same_for_any_number_of_sessions(world: World, agent: Agent, session: AgentSession) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as captured:
            revocation.judge(world.acme.id)
        return len(captured)

    one = cost()
    for who in (world.alice, world.bob, world.eve):
        done(InvokeAgent(id=new_id(), agent_id=agent.id, prompt="Look."), who)
    assert cost() == one
