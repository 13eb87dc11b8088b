"""Vaults and credentials on a real runtime: what is wanted gets there, what is not leaves, and no secret is told."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Q
from django.utils import timezone

from agents import bearers
from agents.commands import ArchiveAgent, DeleteCredential, ResetCredentialSync
from agents.commands.credentials import retire_credentials
from agents.convergence import credentials_changed, servers_moved
from agents.endpoints import endpoint_of
from agents.expiry import expire
from agents.models import Agent, AgentMCPServer, Credential, MCPServer, WithheldServer
from powerloom.kernel.ids import new_id
from powerloom.reconcile import engine, status, sweep
from powerloom.reconcile.claims import claim
from powerloom.reconcile.models import SyncState
from powerloom.reconcile.result import WITHHELD, Condition
from powerloom.reconcile.status import SyncStatus
from tests.converging import Runtime, state
from tests.declared import done, make_agent
from tests.integration.reconcile.conftest import MovedClock
from tests.standing import standing
from tests.wired import make_credential, make_foreign, make_managed, rotate, value_of, wire
from tests.world import World


@standing
def agent(world: World) -> Agent:
    return make_agent(world.alice, world.engineering)


@standing
def parrot(world: World, agent: Agent) -> MCPServer:
    """A managed server that the agent has."""
    server = make_managed(world.engineering)
    wire(agent, server)
    return server


@pytest.fixture
def held(cma: Runtime, world: World, agent: Agent, parrot: MCPServer, clock: MovedClock) -> Credential:
    """A credential that is in the vault."""
    credential = make_credential(world.alice, agent, parrot)
    engine.tick(clock=clock)
    assert not SyncState.objects.filter(is_due=True).exists()
    return credential


def in_vault(cma: Runtime) -> list[dict[str, Any]]:
    """What is in the only vault."""
    [vault] = cma.vaults()
    return cma.credentials(vault["id"])


def look(clock: MovedClock) -> sweep.Pass:
    clock.move(61)
    [found] = sweep.sweep(clock=clock)
    return found


def test_a_credential_brings_its_agents_vault_with_it(cma: Runtime, held: Credential, parrot: MCPServer) -> None:
    [vault] = cma.vaults()
    [there] = cma.credentials(vault["id"])
    assert vault["display_name"] == "powerloom code-reviewer"
    assert there["auth"] == {"type": "static_bearer", "mcp_server_url": endpoint_of(parrot)}
    assert there["metadata"]["powerloom_number"] == "1"
    assert cma.token(there["id"]) == value_of(held)
    assert state("vault", held.agent_id).remote_id == vault["id"]
    assert state("credential", held.id).remote_id == there["id"]


def test_an_agent_without_a_credential_has_no_vault(cma: Runtime, agent: Agent) -> None:
    engine.tick()
    assert cma.agents()
    assert cma.vaults() == []


def test_a_steady_state_costs_one_read_a_vault_and_writes_nothing(
    cma: Runtime, held: Credential, clock: MovedClock, world: World
) -> None:
    assert engine.tick(clock=clock) == 0
    before = look(clock)
    assert (before.drifted, before.vanished) == (0, 0)
    other = make_agent(world.alice, world.engineering, "other")
    for number in range(3):
        server = make_managed(world.engineering, f"parrot-{number}")
        wire(other, server)
        make_credential(world.alice, other, server)
    engine.tick(clock=clock)
    assert look(clock).calls == before.calls + 1


def test_both_values_are_good_until_the_vault_has_the_new_one(
    cma: Runtime, held: Credential, world: World, clock: MovedClock
) -> None:
    old = value_of(held)
    cma.faults.add("POST /v1/vaults/{id}/credentials/{cid}", status=503)
    new = value_of(rotate(world.alice, held))
    assert cma.token(in_vault(cma)[0]["id"]) == old
    engine.tick(clock=clock)
    held.refresh_from_db()
    assert (held.bearer_hash, held.earlier_hash) == (bearers.hash_of(new), bearers.hash_of(old))
    clock.move(3)
    engine.tick(clock=clock)
    held.refresh_from_db()
    assert (held.bearer_hash, held.earlier_hash) == (bearers.hash_of(new), "")
    [there] = in_vault(cma)
    assert cma.token(there["id"]) == new
    assert there["metadata"]["powerloom_number"] == "2"


def test_a_deleted_credential_leaves_and_its_vault_with_it(
    cma: Runtime, held: Credential, world: World, clock: MovedClock
) -> None:
    remote_id = state("credential", held.id).remote_id
    done(DeleteCredential(credential_id=held.id), world.alice)
    engine.tick(clock=clock)
    assert cma.vaults() == []
    assert cma.token(remote_id) is None
    assert not SyncState.objects.filter(is_due=True).exists()


def test_delete_and_create_again_is_a_rotation_in_the_same_vault(
    cma: Runtime, held: Credential, world: World, parrot: MCPServer, clock: MovedClock
) -> None:
    [vault] = cma.vaults()
    done(DeleteCredential(credential_id=held.id), world.alice)
    again = make_credential(world.alice, held.agent, parrot)
    engine.tick(clock=clock)
    assert [one["id"] for one in cma.vaults()] == [vault["id"]]
    [there] = in_vault(cma)
    assert cma.token(there["id"]) == value_of(again)
    assert not SyncState.objects.filter(is_due=True).exists()


def test_an_archived_agent_takes_its_vault_and_its_values_with_it(
    cma: Runtime, held: Credential, world: World, clock: MovedClock
) -> None:
    [there] = in_vault(cma)
    done(ArchiveAgent(agent_id=held.agent_id), world.alice)
    engine.tick(clock=clock)
    held.refresh_from_db()
    assert (held.sealed, held.bearer_hash) == (None, "")
    assert held.archived_at is not None
    assert cma.vaults() == []
    assert cma.token(there["id"]) is None


def test_a_server_that_ends_takes_its_credentials_with_it(
    cma: Runtime, held: Credential, parrot: MCPServer, clock: MovedClock
) -> None:
    retire_credentials(Q(server=parrot))
    held.refresh_from_db()
    assert held.archived_at is not None
    engine.tick(clock=clock)
    assert cma.vaults() == []


@pytest.mark.parametrize("reason", ["detached", "withheld", "voided", "expired", "moved"])
def test_what_may_not_be_used_leaves_the_vault_and_the_vault_stays(
    reason: str, cma: Runtime, agent: Agent, world: World, clock: MovedClock
) -> None:
    server = make_foreign(world.engineering)
    wire(agent, server)
    credential = make_credential(world.alice, agent, server, token="theirs")
    engine.tick(clock=clock)
    assert len(in_vault(cma)) == 1
    now = timezone.now()
    match reason:
        case "detached":
            AgentMCPServer.objects.all().delete()
        case "withheld":
            WithheldServer.objects.create(agent=agent, server=server, since=now)
        case "voided":
            Credential.objects.update(voided_at=now)
        case "expired":
            Credential.objects.update(expires_at=now - timedelta(seconds=1))
        case "moved":
            MCPServer.objects.filter(pk=server.pk).update(url="https://mcp.example.com:8443/mcp")
    credentials_changed([credential.id], urgent=True)
    engine.tick(clock=clock)
    assert in_vault(cma) == []
    assert not SyncState.objects.filter(is_due=True).exists()


def test_one_for_a_server_that_is_not_attached_waits_outside(
    cma: Runtime, agent: Agent, world: World, clock: MovedClock
) -> None:
    server = make_managed(world.engineering)
    credential = make_credential(world.alice, agent, server)
    engine.tick(clock=clock)
    assert in_vault(cma) == []
    wire(agent, server)
    credentials_changed([credential.id])
    engine.tick(clock=clock)
    assert len(in_vault(cma)) == 1


def test_a_url_that_moves_within_its_origin_makes_the_credential_anew(
    cma: Runtime, agent: Agent, world: World, clock: MovedClock
) -> None:
    server = make_foreign(world.engineering)
    wire(agent, server)
    make_credential(world.alice, agent, server, token="theirs")
    engine.tick(clock=clock)
    [before] = in_vault(cma)
    server.url = "https://mcp.example.com/v2/mcp"
    server.save()
    servers_moved([server])
    engine.tick(clock=clock)
    [after] = in_vault(cma)
    assert (after["auth"]["mcp_server_url"], cma.token(after["id"])) == (server.url, "theirs")
    assert after["id"] != before["id"]
    server.url = "https://elsewhere.example.com/v2/mcp"
    server.save()
    servers_moved([server])
    engine.tick(clock=clock)
    assert in_vault(cma) == []
    rotate(world.alice, Credential.objects.get(), token="theirs, of the new place".replace(" ", "-"))
    engine.tick(clock=clock)
    [there] = in_vault(cma)
    assert there["auth"]["mcp_server_url"] == server.url


# Another hand


def test_a_credential_deleted_by_another_hand_comes_back(cma: Runtime, held: Credential, clock: MovedClock) -> None:
    vault, before = state("vault", held.agent_id).remote_id, state("credential", held.id).remote_id
    cma.ask(lambda client: client.credentials.delete(vault, before))
    assert look(clock).vanished == 1
    engine.tick(clock=clock)
    [there] = in_vault(cma)
    assert there["id"] != before
    assert cma.token(there["id"]) == value_of(held)


def test_a_token_overwritten_by_another_hand_is_pushed_again_though_nobody_can_read_it(
    cma: Runtime, held: Credential, clock: MovedClock
) -> None:
    vault, remote_id = state("vault", held.agent_id).remote_id, state("credential", held.id).remote_id
    auth = {"type": "static_bearer", "token": "stolen"}
    cma.ask(lambda client: client.credentials.update(vault, remote_id, {"auth": auth}))
    assert cma.token(remote_id) == "stolen"
    assert look(clock).drifted == 1
    assert status.of(state("credential", held.id)) == SyncStatus.DRIFTED
    engine.tick(clock=clock)
    assert cma.token(remote_id) == value_of(held)
    assert look(clock).drifted == 0


@pytest.mark.parametrize("way", ["archive", "delete"])
def test_a_vault_that_vanished_comes_back_with_all_that_was_in_it(
    way: str, cma: Runtime, held: Credential, clock: MovedClock
) -> None:
    before = state("vault", held.agent_id).remote_id
    cma.ask(lambda client: getattr(client.vaults, way)(before))
    assert look(clock).vanished == 1
    for _ in range(3):
        engine.tick(clock=clock)
        clock.move(3)
    [there] = in_vault(cma)
    assert cma.token(there["id"]) == value_of(held)
    assert state("vault", held.agent_id).remote_id != before
    assert not SyncState.objects.filter(is_due=True).exists()


def test_what_a_vault_before_this_one_refused_is_tried_in_the_new_one(
    cma: Runtime, held: Credential, world: World, clock: MovedClock
) -> None:
    before = state("vault", held.agent_id).remote_id
    cma.ask(lambda client: client.vaults.archive(before))
    server = make_managed(world.engineering, "second")
    wire(held.agent, server)
    late = make_credential(world.alice, held.agent, server)
    for _ in range(2):
        engine.tick(clock=clock)
        clock.move(5)
    assert state("credential", late.id).parked_at is not None
    look(clock)
    for _ in range(3):
        engine.tick(clock=clock)
        clock.move(3)
    assert len(in_vault(cma)) == 2


def test_whatever_another_hand_put_in_its_place_gives_way(
    cma: Runtime, held: Credential, parrot: MCPServer, world: World, clock: MovedClock
) -> None:
    vault, remote_id = state("vault", held.agent_id).remote_id, state("credential", held.id).remote_id
    auth = {"type": "static_bearer", "mcp_server_url": endpoint_of(parrot), "token": "stolen"}

    async def swap(client: Any) -> None:
        await client.credentials.delete(vault, remote_id)
        await client.credentials.create(vault, {"auth": auth})

    cma.ask(swap)
    assert look(clock).vanished == 1
    engine.tick(clock=clock)
    [there] = in_vault(cma)
    assert cma.token(there["id"]) == value_of(held)


# Answers that are lost, and errors that say too much


def test_a_create_whose_answer_was_lost_is_adopted(
    cma: Runtime, agent: Agent, parrot: MCPServer, world: World, clock: MovedClock
) -> None:
    cma.faults.add("POST /v1/vaults/{id}/credentials", cut="after_commit")
    credential = make_credential(world.alice, agent, parrot)
    engine.tick(clock=clock)
    [made] = in_vault(cma)
    assert state("credential", credential.id).remote_id == ""
    rotate(world.alice, credential)
    clock.move(3)
    engine.tick(clock=clock)
    [there] = in_vault(cma)
    assert cma.token(there["id"]) == value_of(credential)
    assert not SyncState.objects.filter(is_due=True).exists()
    assert made["id"] == there["id"] == state("credential", credential.id).remote_id


def test_the_words_of_an_error_that_may_repeat_the_token_are_not_kept(
    cma: Runtime, agent: Agent, world: World, clock: MovedClock
) -> None:
    server = make_foreign(world.engineering)
    wire(agent, server)
    credential = make_credential(world.alice, agent, server, token="CANARY-77")
    for _ in range(2):
        cma.faults.add("POST /v1/vaults/{id}/credentials", status=400, message="Is CANARY-77 a token?")
        engine.tick(clock=clock)
        clock.move(5)
    row = state("credential", credential.id)
    assert (row.condition, row.parked_at is not None) == (Condition.REJECTED, True)
    assert row.last_error == f"CMA refuses this (400): {WITHHELD}"
    done(ResetCredentialSync(credential_id=credential.id), world.alice)
    engine.tick(clock=clock)
    assert len(in_vault(cma)) == 1


def test_a_reset_pushes_the_value_again_even_if_it_looks_right(
    cma: Runtime, held: Credential, world: World, clock: MovedClock
) -> None:
    vault, remote_id = state("vault", held.agent_id).remote_id, state("credential", held.id).remote_id
    auth = {"type": "static_bearer", "token": "stolen"}
    cma.ask(lambda client: client.credentials.update(vault, remote_id, {"auth": auth}))
    done(ResetCredentialSync(credential_id=held.id), world.alice)
    engine.tick(clock=clock)
    assert cma.token(remote_id) == value_of(held)


# Time, and neighbours


def test_what_expires_leaves_the_vault_by_itself(
    cma: Runtime, held: Credential, world: World, clock: MovedClock
) -> None:
    assert expire() == 0
    Credential.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert expire() == 1
    engine.tick(clock=clock)
    assert in_vault(cma) == []
    assert expire() == 0
    rotate(world.alice, held, expires_at=timezone.now() + timedelta(days=1))
    engine.tick(clock=clock)
    assert len(in_vault(cma)) == 1


def test_a_revocation_does_not_wait_for_anothers_thousand(
    cma: Runtime, held: Credential, world: World, clock: MovedClock
) -> None:
    many = [SyncState(kind="agent", object_id=new_id(), organization_id=world.zeta.id) for _ in range(1_000)]
    SyncState.objects.bulk_create(many)
    remote_id = state("credential", held.id).remote_id
    done(DeleteCredential(credential_id=held.id), world.alice)
    claims = claim(clock())
    assert claims is not None
    assert claims.claims[0].state.object_id == held.id, "it is in the first batch, and goes first in it"
    with ThreadPoolExecutor(1) as network:
        engine.finish(engine.start(claims, network), clock)
    assert cma.token(remote_id) is None
