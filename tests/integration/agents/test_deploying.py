"""How a deployment comes on: claimed by one worker, tried with patience, failed with a reason, never lost."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from agents import deploying
from agents.deploying import LEASE, PATIENCE, Attempt, claim, record, tick
from agents.handshakes import Handshake
from agents.models import DeploymentStatus, MCPDeployment, MCPTool, ServerState
from tests.database import Committed, Race
from tests.deployed import make_deployment, make_failed, make_running
from tests.servers import free_port
from tests.world import World, api_of

PENDING, DEPLOYING, RUNNING = DeploymentStatus.PENDING, DeploymentStatus.DEPLOYING, DeploymentStatus.RUNNING
FAILED, DESTROYING, DESTROYED = DeploymentStatus.FAILED, DeploymentStatus.DESTROYING, DeploymentStatus.DESTROYED

TOOL = {"name": "echo", "description": "Says it again.", "input_schema": {"type": "object"}}


@pytest.fixture
def no_fleet(settings: Any) -> None:
    """Nobody listens where the fleet should be."""
    settings.FLEET_URL = f"http://127.0.0.1:{free_port()}"


def fresh(deployment: MCPDeployment) -> MCPDeployment:
    return MCPDeployment.objects.select_related("registration").get(pk=deployment.pk)


def claimed(at: datetime | None = None) -> MCPDeployment:
    (row,) = claim(at or timezone.now())
    return row


def succeeded(row: MCPDeployment, *tools: dict[str, Any]) -> Attempt:
    """What an attempt finds when the fleet answers."""
    return Attempt(row, found=Handshake({"name": "powerloom"}, "2025-11-25", [*tools] or [TOOL]))


def broken(row: MCPDeployment, step: str = "check") -> Attempt:
    attempt = Attempt(row)
    attempt.failed(step, "Nobody answers.")
    return attempt


# --- Claims


def test_what_was_declared_is_claimed_once(world: World) -> None:
    deployment = make_deployment(world.bob, world.engineering)
    assert claimed().pk == deployment.pk
    assert fresh(deployment).status == DEPLOYING
    assert claim(timezone.now()) == []


def test_of_two_workers_one_gets_the_row(committed_world: World, race: Race) -> None:
    make_deployment(committed_world.bob, committed_world.engineering)
    outcomes = race(lambda: claim(timezone.now()), lambda: claim(timezone.now()))
    assert sorted(len(rows) for rows in outcomes) == [0, 1]


def test_what_a_killed_worker_held_is_claimed_when_its_lease_is_over(world: World) -> None:
    deployment = make_deployment(world.bob, world.engineering)
    began = timezone.now()
    assert claimed(began).pk == deployment.pk
    assert claim(began + LEASE - timedelta(seconds=1)) == []
    assert claimed(began + LEASE + timedelta(seconds=1)).pk == deployment.pk


def test_a_worker_who_lost_his_lease_records_nothing(world: World) -> None:
    deployment = make_deployment(world.bob, world.engineering)
    began = timezone.now()
    slow = claimed(began)
    quick = claimed(began + LEASE + timedelta(seconds=1))
    assert record(succeeded(quick), timezone.now())
    assert not record(broken(slow), timezone.now())
    assert fresh(deployment).status == RUNNING


def test_a_config_that_changes_meanwhile_is_deployed_and_the_old_one_is_not_recorded(world: World) -> None:
    deployment = make_deployment(world.bob, world.engineering)
    old = claimed()
    assert MCPDeployment.objects.filter(pk=deployment.pk).update(config={"was": "another"}) == 1
    assert api_of(world.bob).patch(f"/mcp-deployments/{deployment.pk}", {"config_json": {}}).status_code == 200
    assert not record(succeeded(old), timezone.now())
    assert (fresh(deployment).status, fresh(deployment).leased_until) == (PENDING, None)
    assert record(succeeded(claimed()), timezone.now())
    assert fresh(deployment).status == RUNNING


def test_what_is_destroyed_meanwhile_does_not_come_back(world: World) -> None:
    deployment = make_deployment(world.bob, world.engineering)
    slow = claimed()
    assert api_of(world.bob).post(f"/mcp-deployments/{deployment.pk}/destroy").status_code == 204
    assert not record(succeeded(slow), timezone.now())
    assert tick() == 1
    assert (fresh(deployment).status, fresh(deployment).due_at) == (DESTROYED, None)


def test_a_clock_that_went_back_costs_no_deployment(world: World) -> None:
    deployment = make_deployment(world.bob, world.engineering)
    later = timezone.now() + timedelta(days=400)
    MCPDeployment.objects.filter(pk=deployment.pk).update(due_at=later, leased_until=later)
    assert claimed().pk == deployment.pk


def test_a_start_of_the_one_process_frees_what_the_one_before_held(world: World) -> None:
    make_deployment(world.bob, world.engineering)
    claimed()
    assert deploying.release_all() == 1
    assert claimed().status == DEPLOYING


# --- What came of it


def test_success_is_recorded_with_the_tools_and_what_the_server_said(world: World) -> None:
    deployment = make_deployment(world.bob, world.engineering)
    assert record(succeeded(claimed()), timezone.now())
    row = fresh(deployment)
    assert (row.status, row.due_at, row.attempts, row.status_reason) == (RUNNING, None, 0, "")
    assert row.running_since is not None
    assert (row.registration.state, row.registration.protocol_version) == (ServerState.VERIFIED, "2025-11-25")
    assert [tool.is_on for tool in MCPTool.objects.filter(server=row.registration)] == [True]
    shown = api_of(world.bob).get(f"/mcp-deployments/{deployment.pk}").json()
    assert [(tool["name"], tool["input_schema"]) for tool in shown["tools"]] == [("echo", {"type": "object"})]
    assert shown["steps"] == [{"step": "tools", "ok": True, "words": "1 tools: echo."}]


@pytest.mark.parametrize(("step", "most"), [("validate", 1), ("secrets", 1), *PATIENCE.items()])
def test_a_step_is_tried_as_often_as_it_may_mend_itself_and_then_fails(world: World, step: str, most: int) -> None:
    deployment, now = make_deployment(world.bob, world.engineering), timezone.now()
    for number in range(1, most):
        assert record(broken(claimed(now), step), now)
        row = fresh(deployment)
        assert (row.status, row.attempts, row.leased_until) == (DEPLOYING, number, None)
        assert f"Attempt {number} of {most}" in row.status_reason
        assert row.due_at is not None
        assert row.due_at > now
        assert claim(now) == []
        now = row.due_at
    assert record(broken(claimed(now), step), now)
    row = fresh(deployment)
    assert (row.status, row.due_at) == (FAILED, None)
    assert row.status_reason.startswith(f"{step}: Nobody answers. Put it right, then retry")
    assert claim(now + timedelta(days=1)) == []


def test_one_that_runs_stays_running_while_it_is_looked_at_and_fails_when_it_is_not_fit(world: World) -> None:
    deployment = make_running(make_deployment(world.bob, world.engineering))
    api_of(world.bob).patch(f"/mcp-deployments/{deployment.pk}", {"policy_json": {"denied_tools": ["fail"]}})
    assert claimed().status == RUNNING
    deploying.release_all()
    row = claimed()
    assert record(succeeded(row), timezone.now())
    assert fresh(deployment).status == RUNNING
    api_of(world.bob).patch(f"/mcp-deployments/{deployment.pk}", {"policy_json": {}})
    assert record(broken(claimed(), "validate"), timezone.now())
    assert fresh(deployment).status == FAILED


# --- The steps


def test_a_config_that_fits_no_more_fails_at_once_and_says_where(world: World) -> None:
    deployment = make_deployment(world.bob, world.engineering)
    MCPDeployment.objects.filter(pk=deployment.pk).update(config={"colour": "red"})
    assert tick() == 1
    row = fresh(deployment)
    assert row.status == FAILED
    assert [(step["step"], step["ok"]) for step in row.steps] == [("validate", False)]
    assert "colour" in row.status_reason


def test_where_no_fleet_answers_the_steps_before_are_told_and_it_is_tried_again(world: World, no_fleet: None) -> None:
    deployment = make_deployment(world.bob, world.engineering)
    assert tick() == 1
    row = fresh(deployment)
    assert row.status == DEPLOYING
    told = [(step["step"], step["ok"]) for step in row.steps]
    assert told == [("validate", True), ("secrets", True), ("check", True), ("handshake", False)]
    assert f"/mcp/{deployment.pk}/mcp" in row.status_reason
    assert row.registration.state == ServerState.FAILING
    assert tick() == 0, "it is not due yet"


def test_a_retry_begins_anew(world: World, no_fleet: None) -> None:
    deployment = make_failed(make_deployment(world.bob, world.engineering))
    assert tick() == 0
    api_of(world.bob).post(f"/mcp-deployments/{deployment.pk}/retry")
    assert tick() == 1
    assert (fresh(deployment).status, fresh(deployment).attempts) == (DEPLOYING, 1)


def test_a_fleet_that_is_away_fails_nothing_that_ran_on_it(world: World) -> None:
    deployment = make_running(make_deployment(world.bob, world.engineering))
    MCPDeployment.objects.filter(pk=deployment.pk).update(attempts=50, due_at=timezone.now())
    assert record(broken(claimed(), "handshake"), timezone.now())
    row = fresh(deployment)
    assert (row.status, row.attempts) == (RUNNING, 51)
    assert row.due_at is not None
    assert row.due_at > timezone.now()


def test_two_workers_at_once_deploy_each_row_once(committed_db: Committed, committed_world: World, race: Race) -> None:
    rows = [make_deployment(committed_world.bob, committed_world.engineering, f"d-{n}") for n in range(4)]
    MCPDeployment.objects.update(config={"colour": "red"})
    assert sum(race(tick, tick)) == len(rows)
    assert set(MCPDeployment.objects.values_list("status", "attempts")) == {(FAILED, 1)}
