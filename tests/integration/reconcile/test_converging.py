"""What is declared becomes so on CMA, in the order of dependencies, and then nothing is written any more."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Organization
from agents.drivers import skills
from agents.models import AgentVersion
from powerloom.reconcile import engine, intents
from powerloom.reconcile.claims import BATCH, claim
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.prepare import prepare
from powerloom.reconcile.record import record
from tests.converging import (
    Runtime,
    add_version,
    change_agent,
    make_agents,
    make_skill,
    state,
)


def snapshot() -> list[dict[str, Any]]:
    return [dict(row) for row in SyncState.objects.order_by("pk").values()]


def test_an_agent_with_its_environment_and_skill_becomes_live(cma: Runtime, acme: Organization) -> None:
    skill = make_skill(acme)
    version = add_version(skill)
    [agent] = make_agents(acme, skill=skill)
    engine.tick()
    [environment] = cma.environments()
    [live] = cma.agents()
    assert environment["name"] == "powerloom acme"
    assert live["name"] == "Agent 0"
    assert live["skills"] == [
        {
            "type": "custom",
            "skill_id": state("skill", skill.id).remote_id,
            "version": state("skill_version", version.id).remote_id,
        }
    ]
    row = state("agent", agent.id)
    assert (row.remote_id, row.remote_version, row.is_due) == (live["id"], "1", False)
    assert AgentVersion.objects.get(agent=agent).cma_version == "1"


def test_a_steady_state_reconciled_twice_writes_nothing(cma: Runtime, acme: Organization) -> None:
    add_version(skill := make_skill(acme))
    make_agents(acme, 3, skill=skill)
    engine.tick()
    before, on_cma = snapshot(), cma.agents()
    with CaptureQueriesContext(connection) as queries:
        assert engine.tick() == 0
    assert [query["sql"] for query in queries if not query["sql"].startswith("SELECT")] == []
    assert snapshot() == before
    assert cma.agents() == on_cma


def test_a_row_marked_without_a_change_causes_no_call(cma: Runtime, acme: Organization) -> None:
    [agent] = make_agents(acme)
    engine.tick()
    intents.mark_stale("agent", [agent.id])
    cma.faults.add("* *", status=500)
    assert engine.tick() == 1
    assert len(cma.faults.left()) == 1
    assert not state("agent", agent.id).is_due


def test_a_change_becomes_a_new_version_and_ours_is_mapped_to_it(cma: Runtime, acme: Organization) -> None:
    [agent] = make_agents(acme)
    engine.tick()
    change_agent(agent, system_prompt="Review it again.")
    engine.tick()
    [live] = cma.agents()
    assert (live["version"], live["system"]) == (2, "Review it again.")
    assert dict(AgentVersion.objects.filter(agent=agent).values_list("number", "cma_version")) == {1: "1", 2: "2"}


def test_a_restored_version_is_mapped_although_nothing_is_pushed(cma: Runtime, acme: Organization) -> None:
    [agent] = make_agents(acme)
    engine.tick()
    change_agent(agent)
    engine.tick()
    assert cma.agents()[0]["version"] == 1
    assert AgentVersion.objects.get(agent=agent, number=2).cma_version == "1"


def test_metadata_that_is_not_ours_survives_an_update(cma: Runtime, acme: Organization) -> None:
    [agent] = make_agents(acme, metadata={"team": "core", "tier": "1"})
    engine.tick()
    remote_id = state("agent", agent.id).remote_id
    cma.ask(lambda client: client.agents.update(remote_id, {"metadata": {"theirs": "kept"}}))
    change_agent(agent, metadata={"team": "new"})
    engine.tick()  # their update moved the version, so this one is stale
    SyncState.objects.update(due_at="2000-01-01T00:00Z")
    engine.tick()
    metadata = cma.agents()[0]["metadata"]
    stamp = metadata.pop("powerloom")
    assert metadata == {"team": "new", "theirs": "kept"}
    assert str(agent.id) in stamp


def test_an_archived_agent_is_archived_on_cma(cma: Runtime, acme: Organization) -> None:
    [agent] = make_agents(acme)
    engine.tick()
    agent.archived_at = agent.created_at
    agent.save()
    intents.mark_stale("agent", [agent.id], urgent=True)
    engine.tick()
    assert cma.agents() == []
    assert not state("agent", agent.id).is_due


def test_an_agent_archived_before_it_was_pushed_is_never_made(cma: Runtime, acme: Organization) -> None:
    [agent] = make_agents(acme)
    agent.archived_at = agent.created_at
    agent.save()
    engine.tick()
    assert cma.agents() == []
    assert not state("agent", agent.id).is_due


def test_a_waiting_agent_counts_no_attempt_and_says_what_it_waits_for(cma: Runtime, acme: Organization) -> None:
    add_version(skill := make_skill(acme), activate=False)
    [agent] = make_agents(acme, skill=skill)
    engine.tick()
    row = state("agent", agent.id)
    assert (row.waits_for, row.attempts, row.remote_id) == ("a current version of skill python-lint", 0, "")


def test_an_agent_waits_for_a_skill_that_is_parked_and_comes_with_it(cma: Runtime, acme: Organization) -> None:
    version = add_version(skill := make_skill(acme))
    [agent] = make_agents(acme, skill=skill)
    SyncState.objects.filter(object_id=version.id).update(parked_at="2000-01-01T00:00Z")
    engine.tick()
    assert state("agent", agent.id).waits_for == "skill python-lint"
    intents.reset("skill_version", version.id)
    engine.tick()
    assert not state("agent", agent.id).is_due


def test_a_new_current_version_reaches_the_agents_that_follow_it(cma: Runtime, acme: Organization) -> None:
    add_version(skill := make_skill(acme))
    make_agents(acme, 2, skill=skill)
    engine.tick()
    second = add_version(skill, "Lint it better.")
    engine.tick()
    remote_id = state("skill_version", second.id).remote_id
    assert {agent["skills"][0]["version"] for agent in cma.agents()} == {remote_id}
    assert len(cma.versions(state("skill", skill.id).remote_id)) == 2


def test_a_change_during_the_push_is_not_lost(cma: Runtime, acme: Organization) -> None:
    [agent] = make_agents(acme)
    engine.tick()
    change_agent(agent, system_prompt="Second")
    claims = claim(timezone.now())
    assert claims is not None
    prepared = prepare(claims.claims)
    outcome = engine.push_all(prepared)
    change_agent(agent, system_prompt="Third")
    record(outcome.results, owner=claims.owner, now=timezone.now())
    row = state("agent", agent.id)
    assert (row.desired_hash, row.remote_version, row.is_due) == ("", "2", True)
    engine.tick()
    assert cma.agents()[0]["system"] == "Third"


def test_an_unreadable_spec_parks_and_does_not_stop_the_others(cma: Runtime, acme: Organization) -> None:
    broken, fine = make_agents(acme, 2)
    AgentVersion.objects.filter(agent=broken).update(spec={"display_name": "x"})
    engine.tick()
    SyncState.objects.update(due_at="2000-01-01T00:00Z")
    engine.tick()
    row = state("agent", broken.id)
    assert row.parked_at is not None
    assert "model" in row.last_error
    assert not state("agent", fine.id).is_due


def test_a_batch_takes_a_constant_number_of_queries(cma: Runtime, acme: Organization) -> None:
    make_agents(acme, 1)
    engine.tick()

    def queries(count: int) -> int:
        make_agents(acme, count)
        with CaptureQueriesContext(connection) as captured:
            engine.tick()
        return len(captured)

    queries(2)
    few = queries(2)
    assert queries(12) == few


def test_more_agents_than_a_batch_holds_need_one_tick_from_nothing(cma: Runtime, acme: Organization) -> None:
    make_agents(acme, BATCH + 10)
    engine.tick()
    assert not SyncState.objects.filter(is_due=True).exists()
    assert len(cma.agents()) == BATCH + 10


def test_archives_too_large_for_one_batch_take_turns(
    cma: Runtime, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skills, "MOST_BYTES", 1)
    for number in range(3):
        add_version(make_skill(acme, f"skill-{number}"))
    engine.tick()
    assert len(cma.skills()) == 3
    assert not SyncState.objects.filter(is_due=True).exists()


def test_an_idle_tick_is_one_query(acme: Organization) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert engine.tick() == 0
    assert len(captured) == 1


@pytest.mark.sqlite_only
def test_an_idle_tick_reads_the_index_of_what_is_due(acme: Organization) -> None:
    with CaptureQueriesContext(connection) as captured:
        engine.tick()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {captured[0]['sql']}")
        plan = " ".join(str(row[-1]) for row in cursor.fetchall())
    assert "sync_due" in plan
