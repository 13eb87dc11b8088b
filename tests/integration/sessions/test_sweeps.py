"""What is done when no relay is there."""

from datetime import timedelta

import pytest
from django.utils import timezone

from agents.models import Agent
from powerloom.kernel.ids import new_id
from sessions import sweeps, tickets
from sessions.models import AgentSession, Relay, SessionEvent, StreamTicket
from tests.recorded import live_agent, running_session
from tests.world import World, actor_of


@pytest.fixture
def agent(committed_world: World) -> Agent:
    return live_agent(committed_world)


def overdue(agent: Agent, world: World) -> AgentSession:
    session = running_session(agent, world.alice, "hello")
    now = timezone.now()
    AgentSession.objects.filter(pk=session.pk).update(
        turn_started_at=now - timedelta(minutes=20), deadline_at=now - timedelta(minutes=10)
    )
    return session


def test_a_turn_that_nobody_follows_ends_when_its_time_is_long_up(committed_world: World, agent: Agent) -> None:
    session = overdue(agent, committed_world)
    assert sweeps.end_overdue_turns() == 1
    session.refresh_from_db()
    assert (session.status, session.owed, session.deadline_at) == ("timeout", "interrupt", None)
    assert "no relay" in session.last_error
    assert SessionEvent.objects.filter(session=session).order_by("-seq")[0].event_type == "powerloom.session_ended"
    assert sweeps.end_overdue_turns() == 0


def test_a_turn_that_a_living_relay_follows_is_left_to_it(committed_world: World, agent: Agent) -> None:
    session = overdue(agent, committed_world)
    now = timezone.now()
    relay = Relay.objects.create(id=new_id(), epoch=1, started_at=now, beat_at=now)
    AgentSession.objects.filter(pk=session.pk).update(relay_id=relay.id)
    assert sweeps.end_overdue_turns() == 0


@pytest.mark.parametrize("beat", [timedelta(minutes=-1), timedelta(minutes=1)])
def test_a_relay_is_dead_when_its_heart_is_silent_or_beats_in_the_future(
    committed_world: World, agent: Agent, beat: timedelta
) -> None:
    session = overdue(agent, committed_world)
    now = timezone.now()
    relay = Relay.objects.create(id=new_id(), epoch=1, started_at=now, beat_at=now + beat)
    AgentSession.objects.filter(pk=session.pk).update(relay_id=relay.id)
    assert sweeps.end_overdue_turns() == 1


def test_old_tickets_are_forgotten_and_late_ones_are_still_told_that_they_expired(
    committed_world: World, agent: Agent
) -> None:
    session = running_session(agent, committed_world.alice)
    for minutes in (120, 5, -1):
        tickets.mint(session, actor_of(committed_world.alice))
        newest = StreamTicket.objects.order_by("-created_at")[0]
        expires_at = timezone.now() - timedelta(minutes=minutes)
        StreamTicket.objects.filter(pk=newest.pk).update(expires_at=expires_at)
    assert sweeps.forget_tickets() == 1
    assert StreamTicket.objects.count() == 2
