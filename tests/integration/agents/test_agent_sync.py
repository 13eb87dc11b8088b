"""Where an agent stands, in words; the reset; and what a session of it would be made from."""

from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents import readiness
from agents.api.shapes import SyncOut
from agents.commands import DeleteCredential
from agents.kinds import SyncKind
from agents.models import Agent, AgentVersion, Credential
from powerloom.kernel.errors import NotFound, NotReady
from powerloom.reconcile.models import SyncState
from tests.declared import done, is_stale, make_agent, make_live, make_skill, make_version
from tests.standing import standing
from tests.wired import make_credential, make_managed, rotate
from tests.world import World, api_of

NOW = timezone.now()
SYNCED = {"desired_hash": "a" * 64, "actual_hash": "a" * 64, "remote_id": "agent_1", "remote_version": "3"}


@standing
def agent(world: World) -> Agent:
    made = make_agent(world.bob, world.engineering)
    make_live(made.id, world.acme.id)
    return made


def say(id_: UUID, **columns: Any) -> None:
    """Let the reconciler have said this of an object."""
    assert SyncState.objects.filter(object_id=id_).update(**columns) == 1


def status(world: World, agent: Agent) -> dict[str, Any]:
    answer: dict[str, Any] = api_of(world.eve).get(f"/agents/{agent.id}/sync-status").json()
    SyncOut.model_validate(answer)
    return answer


# --- In words


def test_a_new_agent_is_pending(world: World) -> None:
    answer = status(world, make_agent(world.bob, world.engineering))
    assert (answer["status"], answer["live"], answer["runtime_resource_id"]) == ("pending", False, None)
    assert "waiting to be pushed" in answer["why"]
    assert answer["next_try_at"] is not None


def test_a_live_agent_has_nothing_to_explain(world: World, agent: Agent) -> None:
    say(agent.id, **SYNCED)
    answer = status(world, agent)
    assert (answer["status"], answer["live"], answer["why"], answer["next_try_at"]) == ("synced", True, "", None)
    assert (answer["runtime_resource_id"], answer["runtime_version"]) == ("agent_1", "3")


@pytest.mark.parametrize(
    ("columns", "word", "why"),
    [
        ({"waits_for": "skill python-lint", "desired_hash": ""}, "waiting", "the agent waits for skill python-lint"),
        ({"parked_at": NOW, "last_error": "model: no such model"}, "parked", "parked (model: no such model)"),
        ({"parked_at": NOW, "condition": "not_representable"}, "parked", "parked (not_representable)"),
        ({"drift": [{"field": "name"}], "desired_hash": ""}, "drifted", "changed on the runtime"),
        ({"desired_hash": "", "attempts": 2, "last_error": "503"}, "pending", "waiting to be pushed (503)"),
    ],
)
def test_what_keeps_it_from_being_live_is_said(
    world: World, agent: Agent, columns: dict[str, Any], word: str, why: str
) -> None:
    say(agent.id, **columns)
    answer = status(world, agent)
    assert (answer["status"], answer["live"]) == (word, False)
    assert why in answer["why"]
    assert answer["attempts"] == columns.get("attempts", 0)


def test_an_agent_is_not_live_without_its_environment(world: World, agent: Agent) -> None:
    say(world.acme.id, desired_hash="")
    answer = status(world, agent)
    assert (answer["status"], answer["live"]) == ("synced", False)
    assert "environment" in answer["why"]


# --- Reset


def test_a_reset_lets_a_parked_agent_be_tried_again(world: World, agent: Agent) -> None:
    say(agent.id, parked_at=NOW, attempts=10, last_error="x", condition="rejected")
    answer = api_of(world.bob).post(f"/agents/{agent.id}/sync/reset").json()
    assert (answer["sync"]["status"], answer["sync"]["attempts"], answer["sync"]["last_error"]) == ("pending", 0, "")
    assert is_stale(SyncKind.AGENT, agent.id)
    assert not is_stale(SyncKind.ENVIRONMENT, world.acme.id)


def test_a_reset_frees_a_parked_environment_too(world: World, agent: Agent) -> None:
    say(world.acme.id, parked_at=NOW)
    api_of(world.bob).post(f"/agents/{agent.id}/sync/reset")
    assert SyncState.objects.get(object_id=world.acme.id).parked_at is None


def test_a_skill_is_reset_with_its_parked_versions(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    first, second = (make_version(world.bob, skill, extra=extra, activate=False) for extra in "12")
    make_live(skill.id, first.id, second.id)
    say(second.id, parked_at=NOW)
    assert api_of(world.bob).post(f"/skills/{skill.id}/sync/reset").status_code == 200
    assert is_stale(SyncKind.SKILL, skill.id)
    assert is_stale(SyncKind.SKILL_VERSION, second.id)
    assert not is_stale(SyncKind.SKILL_VERSION, first.id)


def test_a_skill_without_a_version_has_nothing_to_try_again(world: World) -> None:
    skill = make_skill(world.bob, world.engineering)
    refused = api_of(world.bob).post(f"/skills/{skill.id}/sync/reset")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")


# --- What a session is made from


def test_a_session_is_pinned_to_what_the_runtime_has(world: World, agent: Agent) -> None:
    say(agent.id, **SYNCED)
    say(world.acme.id, remote_id="env_1")
    assert readiness.pin(agent) == readiness.Pin(1, "agent_1", 3, "env_1", "")
    assert readiness.pin(agent, version=1) == readiness.pin(agent)


@pytest.mark.parametrize(
    "columns",
    [{"desired_hash": ""}, {"actual_hash": ""}, {"parked_at": NOW}, {"waits_for": "x"}, {"drift": {}}],
)
@pytest.mark.parametrize("kind", [SyncKind.AGENT, SyncKind.ENVIRONMENT])
def test_what_is_dirty_drifted_or_parked_cannot_be_invoked(
    world: World, agent: Agent, kind: SyncKind, columns: dict[str, Any]
) -> None:
    say(agent.id if kind == SyncKind.AGENT else world.acme.id, **columns)
    with pytest.raises(NotReady, match=f"the {kind} ") as refusal:
        readiness.pin(agent)
    assert refusal.value.detail["why"]


def test_an_older_version_that_was_pushed_stays_invocable(world: World, agent: Agent) -> None:
    say(agent.id, **SYNCED)
    AgentVersion.objects.filter(agent=agent, number=1).update(cma_version="3")
    api_of(world.bob).patch(f"/agents/{agent.id}", {"model": "m2"})
    agent.refresh_from_db()
    with pytest.raises(NotReady):
        readiness.pin(agent)
    older = readiness.pin(agent, version=1)
    assert (older.agent_version, older.cma_version, older.cma_agent_id) == (1, 3, "agent_1")


def test_a_version_that_was_never_pushed_says_so(world: World, agent: Agent) -> None:
    api_of(world.bob).patch(f"/agents/{agent.id}", {"model": "m2"})
    agent.refresh_from_db()
    with pytest.raises(NotReady, match="version 1 was never pushed"):
        readiness.pin(agent, version=1)


def test_a_version_that_never_was_is_not_found(world: World, agent: Agent) -> None:
    with pytest.raises(NotFound):
        readiness.pin(agent, version=9)


def test_an_older_version_still_needs_the_environment(world: World, agent: Agent) -> None:
    AgentVersion.objects.filter(agent=agent, number=1).update(cma_version="3")
    api_of(world.bob).patch(f"/agents/{agent.id}", {"model": "m2"})
    agent.refresh_from_db()
    say(world.acme.id, parked_at=NOW)
    with pytest.raises(NotReady, match="environment"):
        readiness.pin(agent, version=1)


def test_readiness_costs_three_queries_for_any_number_of_agents(world: World, agent: Agent) -> None:
    agents = [agent, *(make_agent(world.bob, world.engineering, f"agent-{number}") for number in range(20))]
    with CaptureQueriesContext(connection) as captured:
        ready = readiness.of(agents)
    assert len(captured) == 3
    assert [ready[one.id].live for one in agents] == [True] + [False] * 20


# --- What is in its vault


@standing
def coming(world: World, agent: Agent) -> Credential:
    """A credential that nobody has pushed yet."""
    return make_credential(world.bob, agent, make_managed(world.engineering))


def test_a_credential_on_its_way_for_the_first_time_is_waited_for(
    world: World, agent: Agent, coming: Credential
) -> None:
    with pytest.raises(NotReady, match="waiting to be pushed"):
        readiness.pin(agent)
    make_live(agent.id, kinds={SyncKind.VAULT})
    with pytest.raises(NotReady, match="the credential for parrot is waiting to be pushed"):
        readiness.pin(agent)
    assert "parrot" in readiness.of([agent])[agent.id].why
    make_live(coming.id)
    assert readiness.pin(agent).cma_vault_id


def test_one_that_is_rotated_parked_or_deleted_is_not_waited_for(
    world: World, agent: Agent, coming: Credential
) -> None:
    make_live(agent.id, coming.id, kinds={SyncKind.VAULT})
    rotate(world.bob, coming)
    assert readiness.pin(agent)
    say(coming.id, remote_id="", parked_at=NOW)
    assert readiness.pin(agent)
    say(coming.id, parked_at=None)
    done(DeleteCredential(credential_id=coming.id), world.bob)
    assert readiness.pin(agent)


def test_a_parked_vault_is_not_waited_for_nor_is_what_waits_for_it(
    world: World, agent: Agent, coming: Credential
) -> None:
    SyncState.objects.filter(kind=SyncKind.VAULT).update(parked_at=NOW)
    say(coming.id, waits_for="the vault of code-reviewer", waits_on=agent.id)
    assert readiness.pin(agent).cma_vault_id == ""
