"""A worker is killed at the worst moment: CMA has carried out what it asked for, and none of that is written down."""

import os
import subprocess
import sys
from pathlib import Path

from django.utils import timezone

from accounts.models import Organization
from powerloom.reconcile import claims, engine
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.prepare import prepare
from tests.converging import Runtime, add_version, change_agent, make_agents, make_skill, state
from tests.database import Committed
from tests.integration.reconcile.conftest import MovedClock
from tests.world import make_organization

ROOT = Path(__file__).resolve().parent.parent.parent.parent

# The engine's own steps, up to the point between push and record.
UP_TO_THE_RECORD = """
import signal, sys
import django
django.setup()
from django.conf import settings
from django.utils import timezone
from powerloom.reconcile import engine
settings.CMA_URL, settings.CMA_KEY = sys.argv[1:]
claims = engine.claim(timezone.now())
outcome = engine.push_all(engine.prepare(claims.claims))
print("pushed", len(outcome.results), flush=True)
signal.pause()
"""


def kill_between_push_and_record(cma: Runtime, database: Committed) -> None:
    """Run a worker in a process of its own, and kill it there."""
    command = [sys.executable, "-c", UP_TO_THE_RECORD, cma.process.url, cma.process.key]
    environment = {**os.environ, **database.environment, "DJANGO_SETTINGS_MODULE": "powerloom.settings"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline().startswith("pushed ")
        worker.kill()


def stop_between_push_and_record() -> None:
    """Leave the work where a killed worker leaves it: carried out there, and not written down here."""
    work = claims.claim(timezone.now())
    assert work is not None
    assert engine.push_all(prepare(work.claims)).results


def test_an_agent_it_made_is_found_again(cma: Runtime, committed_db: Committed, clock: MovedClock) -> None:
    acme = make_organization("acme")
    make_agents(acme)
    engine.tick()
    made = make_agents(acme, 3)
    kill_between_push_and_record(cma, committed_db)
    assert len(cma.agents()) == 4
    assert engine.tick(clock=clock) == 0  # the dead worker's lease still holds them
    clock.move(121)
    engine.tick(clock=clock)
    live = {agent["id"] for agent in cma.agents()}
    assert len(live) == 4
    assert {state("agent", agent.id).remote_id for agent in made} < live
    assert not SyncState.objects.filter(is_due=True).exists()


def test_a_restart_of_the_only_process_does_not_wait_for_its_own_leases(cma: Runtime, acme: Organization) -> None:
    [agent] = make_agents(acme)
    stop_between_push_and_record()
    assert claims.release_all() > 0
    engine.tick()
    assert state("agent", agent.id).remote_id == cma.agents()[0]["id"]


def test_an_update_it_sent_is_read_back(cma: Runtime, acme: Organization, clock: MovedClock) -> None:
    [agent] = make_agents(acme)
    engine.tick()
    change_agent(agent, system_prompt="New")
    stop_between_push_and_record()
    for _ in range(3):
        clock.move(121)
        engine.tick(clock=clock)
    assert (cma.agents()[0]["version"], cma.agents()[0]["system"]) == (2, "New")
    assert state("agent", agent.id).remote_version == "2"


def test_a_skill_it_uploaded_is_not_uploaded_again(cma: Runtime, acme: Organization, clock: MovedClock) -> None:
    version = add_version(skill := make_skill(acme))
    stop_between_push_and_record()
    clock.move(121)
    engine.tick(clock=clock)
    clock.move(3)
    engine.tick(clock=clock)
    [live] = cma.skills()
    assert state("skill", skill.id).remote_id == live["id"]
    assert [found["id"] for found in cma.versions(live["id"])] == [state("skill_version", version.id).remote_id]
