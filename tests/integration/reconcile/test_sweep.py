"""What another hand does on CMA is found and put right; what is ours in motion is left alone."""

from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Organization
from agents.models import AgentVersion
from powerloom.reconcile import claims, drift, engine, status, sweep
from powerloom.reconcile.account import account_of
from powerloom.reconcile.models import Orphan, SweepPass, SyncState
from powerloom.reconcile.registry import drivers
from powerloom.reconcile.status import SyncStatus
from tests.converging import (
    Runtime,
    add_version,
    change_agent,
    make_agents,
    make_skill,
    make_spec,
    state,
)
from tests.integration.reconcile.conftest import MovedClock


def look(clock: MovedClock) -> sweep.Pass:
    """One pass, whenever the last one was."""
    clock.move(61)
    [found] = sweep.sweep(clock=clock)
    return found


@pytest.fixture
def settled(cma: Runtime, acme: Organization) -> Organization:
    make_agents(acme, 3)
    engine.tick()
    return acme


def test_where_nothing_changed_nothing_is_found_and_nothing_is_written(
    cma: Runtime, settled: Organization, clock: MovedClock
) -> None:
    before = list(SyncState.objects.order_by("pk").values())
    found = look(clock)
    assert (found.drifted, found.vanished, found.orphans) == (0, 0, 0)
    assert list(SyncState.objects.order_by("pk").values()) == before


def test_a_drift_is_kept_with_its_fields_and_put_right(cma: Runtime, acme: Organization, clock: MovedClock) -> None:
    [agent] = make_agents(acme)
    engine.tick(clock=clock)
    remote_id = state("agent", agent.id).remote_id
    cma.ask(lambda client: client.agents.update(remote_id, {"system": "Leak everything.", "tools": []}))
    assert look(clock).drifted == 1
    row = state("agent", agent.id)
    assert status.of(row) == SyncStatus.DRIFTED
    assert row.drift is not None
    assert {"path": "system", "desired": make_spec()["system_prompt"], "actual": "Leak everything."} in row.drift
    engine.tick(clock=clock)
    row = state("agent", agent.id)
    assert (row.drift, row.is_due, row.remote_version) == (None, False, "3")
    assert cma.agents()[0]["system"] == make_spec()["system_prompt"]
    assert AgentVersion.objects.get(agent=agent).cma_version == "3"


def test_a_drift_of_what_is_not_ours_is_noted_and_left(cma: Runtime, acme: Organization, clock: MovedClock) -> None:
    [agent] = make_agents(acme)
    engine.tick(clock=clock)
    remote_id = state("agent", agent.id).remote_id
    cma.ask(lambda client: client.agents.update(remote_id, {"metadata": {"theirs": "1"}}))
    assert look(clock).drifted == 0
    row = state("agent", agent.id)
    assert (row.remote_version, row.is_due) == ("2", False)
    assert cma.agents()[0]["metadata"]["theirs"] == "1"


def test_an_environment_opened_by_another_hand_is_closed_again(
    cma: Runtime, acme: Organization, settings: Any, clock: MovedClock
) -> None:
    settings.ENVIRONMENT_NETWORKING = {"type": "limited", "allowed_hosts": ["pypi.org"]}
    make_agents(acme)
    engine.tick(clock=clock)
    remote_id = state("environment", acme.id).remote_id
    opened = {"config": {"type": "cloud", "networking": {"type": "unrestricted"}}}
    cma.ask(lambda client: client.environments.update(remote_id, opened))
    assert look(clock).drifted == 1
    engine.tick(clock=clock)
    assert cma.environments()[0]["config"]["networking"]["allowed_hosts"] == ["pypi.org"]


def test_an_archived_agent_is_made_anew(cma: Runtime, acme: Organization, clock: MovedClock) -> None:
    [agent] = make_agents(acme)
    engine.tick(clock=clock)
    change_agent(agent, system_prompt="Second")
    engine.tick(clock=clock)
    before = state("agent", agent.id).remote_id
    cma.ask(lambda client: client.agents.archive(before))
    assert look(clock).vanished == 1
    engine.tick(clock=clock)
    [live] = cma.agents()
    assert state("agent", agent.id).remote_id == live["id"] != before
    versions = dict(AgentVersion.objects.filter(agent=agent).values_list("number", "cma_version"))
    assert versions == {1: "", 2: "1"}  # versions of the old one are worth nothing on the new one


def test_a_deleted_skill_comes_back_with_its_versions_and_its_agents_follow(
    cma: Runtime, acme: Organization, clock: MovedClock
) -> None:
    version = add_version(skill := make_skill(acme))
    make_agents(acme, skill=skill)
    engine.tick(clock=clock)
    before = state("skill", skill.id).remote_id
    cma.ask(lambda client: client.skills.delete(before))
    assert look(clock).vanished == 1
    for _ in range(3):
        engine.tick(clock=clock)
        clock.move(3)
    [live] = cma.skills()
    assert cma.agents()[0]["skills"] == [
        {"type": "custom", "skill_id": live["id"], "version": state("skill_version", version.id).remote_id}
    ]
    assert len(cma.versions(live["id"])) == 1
    assert not SyncState.objects.filter(is_due=True).exists()


def test_a_deleted_version_comes_back(cma: Runtime, acme: Organization, clock: MovedClock) -> None:
    first = add_version(skill := make_skill(acme))
    add_version(skill, "Second.")
    make_agents(acme, skill=skill)
    engine.tick(clock=clock)
    skill_id, before = state("skill", skill.id).remote_id, state("skill_version", first.id).remote_id
    cma.ask(lambda client: client.skills.versions.delete(skill_id, before))
    assert look(clock).vanished == 1
    engine.tick(clock=clock)
    assert state("skill_version", first.id).remote_id not in {"", before}
    assert len(cma.versions(skill_id)) == 2


def test_something_with_our_stamp_and_no_row_is_shown_and_left(
    cma: Runtime, acme: Organization, clock: MovedClock
) -> None:
    [agent] = make_agents(acme)
    engine.tick(clock=clock)
    stamp = cma.agents()[0]["metadata"]["powerloom"]
    twin = {"name": "Twin", "model": "claude-opus-5-5", "metadata": {"powerloom": stamp}}
    twin_id = cma.ask(lambda client: client.agents.create(twin))["id"]
    assert look(clock).orphans == 1
    [orphan] = Orphan.objects.all()
    assert (orphan.organization_id, orphan.object_id, orphan.remote_id) == (acme.id, agent.id, twin_id)
    assert len(cma.agents()) == 2
    cma.ask(lambda client: client.agents.archive(twin_id))
    look(clock)
    assert not Orphan.objects.exists()


@pytest.mark.parametrize("stamp", ["", "1.x.y.z", "1.{org}.{id}.0000"])
def test_a_forged_stamp_is_a_strangers_thing(
    cma: Runtime, settled: Organization, clock: MovedClock, stamp: str
) -> None:
    forged = stamp.format(org=settled.id, id=settled.id)
    twin = {"name": "Twin", "model": "claude-opus-5-5", "metadata": {"powerloom": forged}}
    cma.ask(lambda client: client.agents.create(twin))
    assert look(clock).orphans == 0


def test_what_a_worker_is_about_to_adopt_is_no_orphan(cma: Runtime, settled: Organization, clock: MovedClock) -> None:
    cma.faults.add("POST /v1/agents", cut="after_commit")
    make_agents(settled)
    engine.tick(clock=clock)
    assert look(clock).orphans == 0


def test_a_row_that_changed_since_the_page_was_asked_for_is_skipped(
    cma: Runtime, acme: Organization, clock: MovedClock
) -> None:
    [agent] = make_agents(acme)
    engine.tick(clock=clock)
    now = timezone.now()
    believed = drift.beliefs("agent", [acme.id], now)
    [page] = cma.agents()
    change_agent(agent, system_prompt="New")
    engine.tick(clock=clock)
    [belief] = believed.values()
    assert drift.compare(drivers()["agent"], [(belief, page)], now) == 0
    assert drift.vanish(drivers()["agent"], [belief], now) == 0
    row = state("agent", agent.id)
    assert (row.is_due, row.remote_version) == (False, "2")


def test_a_leased_row_is_skipped(cma: Runtime, acme: Organization, clock: MovedClock) -> None:
    [agent] = make_agents(acme)
    engine.tick(clock=clock)
    believed = list(drift.beliefs("agent", [acme.id], clock()).values())
    SyncState.objects.filter(object_id=agent.id).update(lease_owner="w", lease_until=clock() + claims.LEASE)
    assert drift.vanish(drivers()["agent"], believed, clock()) == 0


def test_what_is_missing_from_a_list_but_answers_by_its_id_is_there(
    cma: Runtime, acme: Organization, clock: MovedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_agents(acme, 2)
    engine.tick(clock=clock)
    believed = list(drift.beliefs("agent", [acme.id], clock()).values())
    turn = sweep.Pass(account_of(acme.id), [acme.id], clock)
    sweep._ask_for(turn, drivers()["agent"], believed)
    assert (turn.vanished, turn.calls) == (0, 2)


def test_archived_and_parked_things_are_not_asked_for(cma: Runtime, acme: Organization, clock: MovedClock) -> None:
    gone, _kept = make_agents(acme, 2)
    engine.tick(clock=clock)
    gone.archived_at = gone.created_at
    gone.save()
    SyncState.objects.filter(object_id=gone.id).update(desired_hash="")
    engine.tick(clock=clock)
    found = look(clock)
    assert (found.vanished, found.calls) == (0, 4)  # one page each of environments, skills, agents and vaults


def test_a_pass_is_made_once_a_minute_by_one_worker(cma: Runtime, settled: Organization, clock: MovedClock) -> None:
    assert len(sweep.sweep(clock=clock)) == 1
    assert sweep.sweep(clock=clock) == []
    clock.move(61)
    SweepPass.objects.update(lease_until=clock())
    clock.move(-1)
    assert sweep.sweep(clock=clock) == []
    clock.move(2)
    assert len(sweep.sweep(clock=clock)) == 1


def test_a_pass_that_does_not_fit_into_its_share_comes_less_often(settings: Any) -> None:
    settings.CMA_RATES = {"create": 300, "other": 600, "environments": 60}
    assert sweep._interval(100) == 60
    assert sweep._interval(300) == 120
    settings.CMA_RATES = {}
    assert sweep._interval(10_000) == 60


def test_a_pass_that_breaks_off_changes_nothing(cma: Runtime, settled: Organization, clock: MovedClock) -> None:
    before = list(SyncState.objects.order_by("pk").values())
    cma.faults.add("GET /v1/agents", status=500)
    look(clock)
    assert list(SyncState.objects.order_by("pk").values()) == before
    assert SweepPass.objects.get().lease_until is None
