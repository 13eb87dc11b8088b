"""CMA fails in every way it can: nothing is lost, nothing is made twice, and each row says what happened."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Organization
from powerloom.reconcile import engine, intents, push
from powerloom.reconcile.claims import BATCH, claim
from powerloom.reconcile.models import Lane, SyncState
from powerloom.reconcile.result import Condition
from tests.converging import Runtime, add_version, change_agent, make_agents, make_skill, state
from tests.integration.reconcile.conftest import MovedClock
from tests.world import make_organization


@pytest.fixture
def ready(cma: Runtime, acme: Organization) -> Organization:
    """An organization whose environment is live."""
    make_agents(acme)
    engine.tick()
    return acme


def test_a_runtime_that_is_down_costs_one_attempt_and_comes_back(
    cma: Runtime, ready: Organization, clock: MovedClock
) -> None:
    [agent] = make_agents(ready)
    cma.process.kill()
    engine.tick(clock=clock)
    row = state("agent", agent.id)
    assert (row.attempts, row.condition, row.parked_at) == (1, Condition.UNREACHABLE, None)
    cma.process.start()
    clock.move(2.1)
    engine.tick(clock=clock)
    assert not state("agent", agent.id).is_due
    assert len(cma.agents()) == 2


def test_while_it_is_down_the_rest_of_a_batch_is_not_even_tried(
    cma: Runtime, ready: Organization, settings: Any
) -> None:
    settings.RECONCILE_CONCURRENCY = 2
    make_agents(ready, 20)
    cma.process.kill()
    engine.tick()
    tried = SyncState.objects.filter(attempts__gt=0).count()
    assert 1 <= tried <= 4
    assert SyncState.objects.filter(condition=Condition.POSTPONED, attempts=0).count() == 20 - tried


def test_a_tick_ends_when_cma_is_down(cma: Runtime, ready: Organization, settings: Any) -> None:
    settings.RECONCILE_CONCURRENCY = 1
    make_agents(ready, 3 * BATCH)
    cma.process.kill()
    assert engine.tick() <= 2 * BATCH
    assert SyncState.objects.filter(attempts__gt=0).count() <= 2


def test_a_create_that_was_committed_with_a_cut_connection_is_adopted(
    cma: Runtime, ready: Organization, clock: MovedClock
) -> None:
    cma.faults.add("POST /v1/agents", cut="after_commit")
    [agent] = make_agents(ready)
    engine.tick(clock=clock)
    row = state("agent", agent.id)
    assert (row.attempts, row.remote_id) == (1, "")
    assert row.attempted_at is not None
    assert len(cma.agents()) == 2
    clock.move(2.1)
    engine.tick(clock=clock)
    row = state("agent", agent.id)
    assert (row.is_due, row.attempts, row.attempted_at, row.remote_version) == (False, 0, None, "1")
    assert len(cma.agents()) == 2


def test_what_is_adopted_is_compared_and_put_right(cma: Runtime, ready: Organization, clock: MovedClock) -> None:
    cma.faults.add("POST /v1/agents", cut="after_commit")
    [agent] = make_agents(ready)
    engine.tick(clock=clock)
    change_agent(agent, system_prompt="Changed while the answer was lost")
    clock.move(2.1)
    engine.tick(clock=clock)
    assert len(cma.agents()) == 2
    assert cma.agents()[0]["system"] == "Changed while the answer was lost"


def test_an_adopted_agent_whose_update_is_refused_is_not_made_again(
    cma: Runtime, ready: Organization, clock: MovedClock
) -> None:
    cma.faults.add("POST /v1/agents", cut="after_commit")
    [agent] = make_agents(ready)
    engine.tick(clock=clock)
    change_agent(agent, model="no-such-model")
    for _ in range(2):
        clock.move(60)
        engine.tick(clock=clock)
    assert state("agent", agent.id).parked_at is not None
    change_agent(agent, model="claude-opus-5-5")
    engine.tick(clock=clock)
    assert len(cma.agents()) == 2
    assert not state("agent", agent.id).is_due


def test_a_create_cut_before_it_was_done_is_made_once(cma: Runtime, ready: Organization, clock: MovedClock) -> None:
    cma.faults.add("POST /v1/agents", cut="before")
    make_agents(ready)
    engine.tick(clock=clock)
    clock.move(2.1)
    engine.tick(clock=clock)
    assert len(cma.agents()) == 2


def test_a_skill_whose_creation_was_cut_exists_once_with_one_version(
    cma: Runtime, acme: Organization, clock: MovedClock
) -> None:
    cma.faults.add("POST /v1/skills", cut="after_commit")
    version = add_version(skill := make_skill(acme))
    engine.tick(clock=clock)
    clock.move(2.1)
    engine.tick(clock=clock)
    clock.move(2.1)
    engine.tick(clock=clock)
    [live] = cma.skills()
    assert [found["id"] for found in cma.versions(live["id"])] == [state("skill_version", version.id).remote_id]
    assert state("skill", skill.id).remote_id == live["id"]


def test_a_version_whose_upload_was_cut_is_known_by_its_content(
    cma: Runtime, acme: Organization, clock: MovedClock
) -> None:
    add_version(skill := make_skill(acme))
    engine.tick(clock=clock)
    cma.faults.add("POST /v1/skills/{id}/versions", cut="after_commit")
    lost = add_version(skill, "Second.")
    other = add_version(skill, "Third.")
    engine.tick(clock=clock)
    clock.move(2.1)
    engine.tick(clock=clock)
    found = {version["id"] for version in cma.versions(state("skill", skill.id).remote_id)}
    assert len(found) == 3
    assert {state("skill_version", lost.id).remote_id, state("skill_version", other.id).remote_id} < found


def test_a_rate_limit_is_waited_for_and_the_others_are_not_tried(
    cma: Runtime, ready: Organization, settings: Any, clock: MovedClock
) -> None:
    settings.RECONCILE_CONCURRENCY = 1
    cma.faults.add("POST /v1/agents", status=429, retry_after=30, times=1)
    make_agents(ready, 3)
    engine.tick(clock=clock)
    assert SyncState.objects.filter(condition=Condition.RATE_LIMITED, attempts=1).count() == 1
    assert SyncState.objects.filter(condition=Condition.POSTPONED, attempts=0).count() == 2
    clock.move(25)
    assert engine.tick(clock=clock) == 0
    clock.move(6)
    engine.tick(clock=clock)
    assert len(cma.agents()) == 4


@pytest.mark.parametrize("status", [500, 503, 529])
def test_an_overload_is_tried_again(cma: Runtime, ready: Organization, clock: MovedClock, status: int) -> None:
    cma.faults.add("POST /v1/agents", status=status)
    [agent] = make_agents(ready)
    engine.tick(clock=clock)
    assert state("agent", agent.id).condition == Condition.UNREACHABLE
    assert engine.tick(clock=clock) == 0
    clock.move(2.1)
    engine.tick(clock=clock)
    assert len(cma.agents()) == 2


def test_ten_failures_in_a_row_park_and_a_reset_starts_over(
    cma: Runtime, ready: Organization, clock: MovedClock
) -> None:
    cma.faults.add("POST /v1/agents", status=500, times=10)
    [agent] = make_agents(ready)
    for _ in range(10):
        engine.tick(clock=clock)
        clock.move(301)
    row = state("agent", agent.id)
    assert (row.attempts, row.parked_at is not None) == (10, True)
    assert engine.tick(clock=clock) == 0
    intents.reset("agent", agent.id)
    engine.tick(clock=clock)
    assert not state("agent", agent.id).is_due


def test_a_slow_answer_is_a_lost_one(
    cma: Runtime, ready: Organization, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    cma.faults.add("POST /v1/agents", latency=1.0)
    [agent] = make_agents(ready)
    monkeypatch.setattr(push, "JOB_SECONDS", 0.3)
    engine.tick(clock=clock)
    assert state("agent", agent.id).attempted_at is not None
    monkeypatch.undo()
    clock.move(2.1)
    engine.tick(clock=clock)
    assert not state("agent", agent.id).is_due
    assert len(cma.agents()) == 2


def test_a_batch_of_slow_calls_starts_nothing_new_after_its_time(
    cma: Runtime, ready: Organization, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.RECONCILE_CONCURRENCY = 2
    monkeypatch.setattr(push, "START_SECONDS", 0.2)
    monkeypatch.setattr(engine, "TICK_LIMIT", 0.2)
    cma.faults.add("POST /v1/agents", latency=0.4, times=20)
    make_agents(ready, 20)
    engine.tick()
    pushed = SyncState.objects.filter(kind="agent", is_due=False).count() - 1
    assert 2 <= pushed <= 8
    assert not SyncState.objects.filter(attempts__gt=0).exists()
    assert not SyncState.objects.exclude(lease_owner="").exists()


def test_a_stale_version_is_read_again_before_the_next_try(
    cma: Runtime, ready: Organization, clock: MovedClock
) -> None:
    [agent] = make_agents(ready)
    engine.tick(clock=clock)
    remote_id = state("agent", agent.id).remote_id
    cma.ask(lambda client: client.agents.update(remote_id, {"name": "By another hand"}))
    change_agent(agent, system_prompt="New")
    engine.tick(clock=clock)
    row = state("agent", agent.id)
    assert (row.condition, row.attempts, row.actual_hash) == (Condition.STALE, 1, "")
    clock.move(2.1)
    engine.tick(clock=clock)
    live = next(live for live in cma.agents() if live["id"] == remote_id)
    assert (live["name"], live["system"], live["version"]) == (agent.display_name, "New", 3)


def test_a_model_cma_does_not_know_parks_after_one_confirmation(
    cma: Runtime, ready: Organization, clock: MovedClock
) -> None:
    [agent] = make_agents(ready, model="no-such-model")
    engine.tick(clock=clock)
    assert state("agent", agent.id).parked_at is None
    clock.move(2.1)
    engine.tick(clock=clock)
    row = state("agent", agent.id)
    assert row.parked_at is not None
    assert "no-such-model" in row.last_error
    change_agent(agent, model="claude-opus-5-5")
    engine.tick(clock=clock)
    assert not state("agent", agent.id).is_due


def test_an_agent_that_is_gone_is_made_anew_with_the_next_change(
    cma: Runtime, ready: Organization, clock: MovedClock
) -> None:
    [agent] = make_agents(ready)
    engine.tick(clock=clock)
    before = state("agent", agent.id).remote_id
    cma.faults.add("POST /v1/agents/{id}", status=404)
    change_agent(agent, system_prompt="New")
    engine.tick(clock=clock)
    row = state("agent", agent.id)
    assert row.remote_id not in {"", before}
    assert (row.remote_version, row.is_due) == ("1", False)


def test_a_refused_key_pauses_the_organization_and_counts_no_attempt(
    cma: Runtime, ready: Organization, clock: MovedClock
) -> None:
    cma.faults.add("* *", status=401, times=1)
    make_agents(ready, 5)
    engine.tick(clock=clock)
    lane = Lane.objects.get(organization_id=ready.id)
    assert "401" in lane.sentence
    assert not SyncState.objects.filter(attempts__gt=0).exists()
    assert not SyncState.objects.filter(attempted_at__isnull=False).exists()
    assert engine.tick(clock=clock) == 0
    clock.move(61)
    engine.tick(clock=clock)
    assert not Lane.objects.exists()
    clock.move(3)
    engine.tick(clock=clock)
    assert len(cma.agents()) == 6


def test_after_a_pause_one_row_goes_first(cma: Runtime, ready: Organization, settings: Any, clock: MovedClock) -> None:
    settings.RECONCILE_CONCURRENCY = 1
    cma.faults.add("* *", status=402, times=2)
    make_agents(ready, 5)
    engine.tick(clock=clock)
    clock.move(61)
    engine.tick(clock=clock)
    assert cma.faults.left() == []
    assert Lane.objects.filter(organization_id=ready.id).exists()
    assert len(cma.agents()) == 1


def test_another_organization_with_its_own_key_is_not_paused(cma: Runtime, ready: Organization, settings: Any) -> None:
    zeta = make_organization("zeta")
    settings.CMA_ACCOUNTS = {str(zeta.id): {"url": cma.process.url, "key": "refused"}}
    make_agents(zeta)
    make_agents(ready)
    engine.tick()
    assert list(Lane.objects.values_list("organization_id", flat=True)) == [zeta.id]
    assert len(cma.agents()) == 2


def test_a_clock_that_went_backwards_delays_nothing_that_is_new(
    cma: Runtime, ready: Organization, clock: MovedClock
) -> None:
    [agent] = make_agents(ready)
    clock.move(-100)
    engine.tick(clock=clock)
    assert not state("agent", agent.id).is_due


def test_a_lease_from_before_the_clock_went_backwards_does_not_last(
    cma: Runtime, ready: Organization, clock: MovedClock
) -> None:
    [agent] = make_agents(ready)
    SyncState.objects.filter(object_id=agent.id).update(lease_owner="dead", lease_until=clock())
    clock.move(-86_400)
    engine.tick(clock=clock)
    assert not state("agent", agent.id).is_due


def test_a_backoff_from_before_the_clock_went_backwards_does_not_last(
    cma: Runtime, ready: Organization, clock: MovedClock
) -> None:
    [agent] = make_agents(ready)
    SyncState.objects.filter(object_id=agent.id).update(attempts=2, due_at=clock(), condition=Condition.UNREACHABLE)
    clock.move(-86_400)
    engine.tick(clock=clock)
    assert not state("agent", agent.id).is_due


@pytest.mark.usefixtures("committed_db")
def test_two_workers_never_hold_one_row(cma: Runtime, race: Any) -> None:
    make_agents(make_organization("acme"), 40)
    engine.tick()
    make_agents(Organization.objects.get(), 40)
    claims = race(*(lambda: claim(timezone.now(), most=25) for _ in range(4)))
    held = [claim.state.pk for claims in claims if claims for claim in claims.claims]
    assert len(held) == len(set(held))
    assert len(held) >= 40


@pytest.mark.usefixtures("committed_db")
def test_many_workers_make_each_agent_once(cma: Runtime, race: Any) -> None:
    agents = make_agents(make_organization("acme"), 60)
    outcomes = race(*(engine.tick for _ in range(3)))
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    while engine.tick():
        pass
    stamps = [live["metadata"]["powerloom"] for live in cma.agents()]
    assert len(stamps) == len(set(stamps))
    live = SyncState.objects.filter(kind="agent", is_due=False).count()
    assert live == len(stamps)
    assert live == len(agents)


@pytest.mark.usefixtures("committed_db")
def test_nothing_is_in_a_transaction_while_cma_is_called(cma: Runtime, rival: Any) -> None:
    acme = make_organization("acme")
    make_agents(acme)
    engine.tick()
    cma.faults.add("POST /v1/agents", latency=1.0)
    make_agents(acme)
    ticking = rival.start(engine.tick)
    began = threading.Event()
    while cma.faults.left() and not began.wait(0.01):
        pass
    assert not connection.in_atomic_block
    make_agents(acme)  # a write goes through at once, on SQLite too
    assert not ticking.done()
    ticking.result(20)
