"""Two at once: of every race about a request there is one winner, and what was approved is applied once."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from accounts.models import User
from agents.commands import CreateAgent
from agents.models import Agent, AgentVersion
from approvals import expiry, replay
from approvals.commands import CancelRequest, DecideRequest
from approvals.models import ApprovalRequest, Decision, Verdict
from powerloom.audit.models import Entry
from powerloom.commands.bus import submit
from powerloom.commands.registry import Done, Held
from powerloom.kernel.errors import AlreadyDecided, Conflict
from powerloom.kernel.ids import new_id
from tests.database import Race, Rival, in_turn
from tests.held import make_policy
from tests.world import World, actor_of, bind, make_user

Act = Callable[[], Any]
RECORD = Entry._meta.db_table  # written last: by then everything is judged and done, and nothing is committed


@pytest.fixture
def world(committed_world: World) -> World:
    return committed_world


@pytest.fixture
def second(world: World) -> User:
    """Another approver."""
    person = make_user("second@acme.example", home=world.sales)
    bind(person, "Approver", world.root)
    return person


def new_agent(world: World, by: User) -> Any:
    said = {"name": "a", "display_name": "A", "model": "m", "system_prompt": "p", "ou_id": world.engineering.id}
    return submit(CreateAgent.model_validate({"id": new_id(), **said}), actor=actor_of(by))


def held(world: World, **policy: Any) -> ApprovalRequest:
    make_policy(world.alice, world.engineering, **policy)
    assert isinstance(new_agent(world, world.bob), Held)
    return ApprovalRequest.objects.get()


def approved(world: World) -> ApprovalRequest:
    request = held(world)
    decides(world.vera, request)()
    return request


def decides(by: User, request: ApprovalRequest, verdict: Verdict = Verdict.APPROVE) -> Act:
    actor = actor_of(by)
    return lambda: submit(DecideRequest(request_id=request.pk, verdict=verdict), actor=actor)


def cancels(by: User, request: ApprovalRequest) -> Act:
    actor = actor_of(by)
    return lambda: submit(CancelRequest(request_id=request.pk), actor=actor)


def winners(outcomes: list[Any]) -> list[bool]:
    """Who won, where whoever lost was told that it is decided."""
    assert all(isinstance(outcome, Done | AlreadyDecided) for outcome in outcomes), outcomes
    return [isinstance(outcome, Done) for outcome in outcomes]


def applied() -> int:
    """How often the request was applied, once every worker has looked."""
    replay.run()
    replay.run()
    count = Entry.objects.filter(action="approval:replay").count()
    assert Agent.objects.count() == count == ApprovalRequest.objects.filter(outcome="applied").count()
    return count


# --- Deciding


def test_of_approve_and_reject_one_wins(world: World, second: User, race: Race) -> None:
    request = held(world)
    won = winners(race(decides(world.vera, request), decides(second, request, Verdict.REJECT)))
    assert sorted(won) == [False, True]
    request.refresh_from_db()
    assert request.status == ("approved" if won[0] else "rejected")
    assert applied() == won[0]


def test_of_two_yeses_where_one_is_enough_one_counts(world: World, second: User, race: Race) -> None:
    request = held(world)
    assert sorted(winners(race(decides(world.vera, request), decides(second, request)))) == [False, True]
    assert Decision.objects.count() == 1
    assert applied() == 1


def test_of_two_yeses_where_two_are_asked_both_count_and_one_of_them_decides(
    world: World, second: User, race: Race
) -> None:
    request = held(world, quorum=2)
    assert winners(race(decides(world.vera, request), decides(second, request))) == [True, True]
    assert request.notices.filter(event="approved").count() == 1
    assert applied() == 1


def test_one_person_at_two_windows_counts_once(world: World, second: User, race: Race) -> None:
    request = held(world, quorum=2)
    assert sorted(winners(race(decides(world.vera, request), decides(world.vera, request)))) == [False, True]
    request.refresh_from_db()
    assert request.status == "pending"


def test_of_approve_and_cancel_one_wins(world: World, race: Race) -> None:
    request = held(world)
    won = winners(race(decides(world.vera, request), cancels(world.bob, request)))
    assert sorted(won) == [False, True]
    request.refresh_from_db()
    assert request.status == ("approved" if won[0] else "cancelled")
    assert applied() == won[0]


def test_a_yes_after_its_time_loses_to_expiry_whoever_comes_first(world: World, race: Race) -> None:
    request = held(world)
    ApprovalRequest.objects.update(expires_at=timezone.now())
    late, ended, again = race(
        decides(world.vera, request), lambda: expiry.end_if_late(request.pk), lambda: expiry.end_if_late(request.pk)
    )
    assert isinstance(late, Conflict)
    assert sorted([ended, again]) == [False, True]
    assert request.notices.filter(event="expired").count() == 1
    assert applied() == 0


def test_a_yes_that_waits_for_expiry_comes_too_late(world: World, rival: Rival) -> None:
    request = held(world)
    ApprovalRequest.objects.update(expires_at=timezone.now())
    ended, late = in_turn(rival, lambda: expiry.end_if_late(request.pk), decides(world.vera, request), before=RECORD)
    assert ended is True
    assert isinstance(late, AlreadyDecided)
    assert applied() == 0


def test_expiry_that_waits_for_a_yes_ends_nothing(world: World, rival: Rival) -> None:
    request = held(world)
    past = ApprovalRequest.objects.filter(pk=request.pk)

    def ends() -> bool:
        past.update(expires_at=timezone.now())
        return expiry.end_if_late(request.pk)

    said, ended = in_turn(rival, decides(world.vera, request), ends, before=RECORD)
    assert isinstance(said, Done)
    assert ended is False
    assert applied() == 1


# --- Replaying


def test_two_workers_apply_it_once(world: World, race: Race) -> None:
    approved(world)
    assert sorted(race(replay.run, replay.run)) == [0, 1]
    assert applied() == 1


def test_two_workers_that_both_hold_it_apply_it_once(world: World, race: Race) -> None:
    request = approved(world)
    slow = replay._claimed(request.pk)
    assert slow
    _out_of_time(request)
    fast = replay._claimed(request.pk)
    assert fast
    race(lambda: replay._act(slow), lambda: replay._act(fast))
    assert applied() == 1
    request.refresh_from_db()
    assert (request.status, request.outcome, request.failure) == ("approved", "applied", None)


def test_what_a_killed_worker_had_taken_is_applied_by_the_next(world: World) -> None:
    request = approved(world)
    assert replay._claimed(request.pk)
    assert replay.run() == 0
    _out_of_time(request)
    assert replay.run() == 1
    assert applied() == 1


def test_trouble_with_the_database_leaves_it_approved_and_due(world: World) -> None:
    request, table = approved(world), AgentVersion._meta.db_table

    def full(execute: Any, sql: str, *rest: Any) -> Any:
        if f'INSERT INTO "{table}"' in sql:
            raise OperationalError("the disk is full")
        return execute(sql, *rest)

    with connection.execute_wrapper(full):
        assert replay.run() == 1
    request.refresh_from_db()
    assert (request.status, request.outcome, request.lease_until) == ("approved", "", None)
    assert request.replay_due_at
    assert request.replay_due_at > timezone.now()
    assert not Agent.objects.exists()
    ApprovalRequest.objects.update(replay_due_at=timezone.now())
    assert applied() == 1


def _out_of_time(request: ApprovalRequest) -> None:
    past = timezone.now() - timedelta(seconds=1)
    ApprovalRequest.objects.filter(pk=request.pk).update(lease_until=past)
