"""State moves: of all who race for one row, one wins."""

from uuid import UUID

import pytest
from django.utils import timezone

from powerloom.kernel.errors import AlreadyDecided
from powerloom.kernel.states import sources, transition
from sessions.models import AgentSession, Status
from tests.database import Race
from tests.declared import make_agent
from tests.world import World


def make_session(world: World) -> AgentSession:
    now = timezone.now()
    return AgentSession.objects.create(
        organization=world.acme,
        ou=world.engineering,
        agent=make_agent(world.bob, world.engineering),
        agent_version=1,
        cma_agent_version=1,
        invoked_by_id=world.bob.id,
        prompt="hello",
        mode="fire_and_forget",
        max_duration=600,
        created_at=now,
        changed_at=now,
    )


def test_a_move_changes_row_and_database_with_its_columns(world: World) -> None:
    session = make_session(world)
    transition(session, Status.RUNNING, waiting_for="Bash")
    session.refresh_from_db()
    assert (session.status, session.waiting_for) == ("running", "Bash")


def test_a_move_that_the_table_does_not_allow_is_refused(world: World) -> None:
    session = make_session(world)
    with pytest.raises(AlreadyDecided, match="This session can no longer become idle_end_turn"):
        transition(session, Status.IDLE_END_TURN)
    assert AgentSession.objects.get().status == Status.PENDING


def test_an_old_copy_of_the_row_loses(world: World) -> None:
    session = make_session(world)
    old = AgentSession.objects.get(pk=session.pk)
    transition(session, Status.FAILED)
    with pytest.raises(AlreadyDecided):
        transition(old, Status.RUNNING)
    assert old.status == Status.PENDING
    assert AgentSession.objects.get().status == Status.FAILED


def test_of_all_who_race_one_wins(committed_world: World, race: Race) -> None:
    session = make_session(committed_world)

    def move(to: str) -> str:
        row = AgentSession.objects.get(pk=UUID(str(session.pk)))
        transition(row, to)
        return to

    ends = [Status.FAILED, Status.TERMINATED, Status.TIMEOUT]
    outcomes = race(*[lambda to=to: move(to) for to in ends])
    winners = [outcome for outcome in outcomes if not isinstance(outcome, Exception)]
    assert len(winners) == 1
    assert AgentSession.objects.get().status == winners[0]
    assert sum(isinstance(outcome, AlreadyDecided) for outcome in outcomes) == len(ends) - 1


@pytest.mark.parametrize("to", [status for status in Status if status != Status.PENDING])
def test_every_state_but_the_first_can_be_reached(to: str) -> None:
    assert sources(AgentSession.MOVES, to)


def test_states_that_end_lead_nowhere() -> None:
    assert not {Status.TERMINATED, Status.FAILED, Status.TIMEOUT} & AgentSession.MOVES.keys()
