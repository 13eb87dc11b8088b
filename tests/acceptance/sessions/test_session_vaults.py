"""The vault of one delegated session: there before the session, found again after a lost answer, gone after its end."""

from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone
from pytest_django import Settings

from accounts import session_bearers
from accounts.models import Delegation, Organization
from agents.commands import AttachServer
from agents.endpoints import endpoint_of
from agents.kinds import SyncKind
from agents.spec import AttachedServer
from powerloom.cma.client import CMA
from powerloom.reconcile.models import SyncState
from sessions import session_vaults
from sessions.commands import CloseSession
from sessions.models import AgentSession, Status
from sessions.session_vaults import NAME, discard_all
from tests.declared import done, make_live
from tests.meta import make_meta_server
from tests.running import Running


def on_runtime(running: Running) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The sessions' own vaults that the runtime has, and what is in them."""

    async def listed() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        async with CMA(base_url=running.runtime.url, api_key=running.runtime.key) as cma:
            vaults = [one for one in (await cma.vaults.list()).data if one["display_name"] == NAME]
            return vaults, [one for vault in vaults for one in (await cma.credentials.list(vault["id"])).data]

    return async_to_sync(listed)()


def test_answers_that_are_lost_make_no_second_vault_and_the_end_takes_it_away(running: Running) -> None:
    alice, agent = running.world.alice, running.agent
    server = make_meta_server(running.world.engineering)
    done(AttachServer(agent_id=agent.id, server=AttachedServer(mcp_server_registration_id=server.id)), alice)
    make_live(agent.id)
    SyncState.objects.filter(kind=SyncKind.AGENT, object_id=agent.id).update(remote_id=running.remote_id)
    running.runtime.faults.add("POST /v1/vaults", cut="after_commit")
    running.runtime.faults.add("POST /v1/vaults/{id}/credentials", cut="after_commit")
    session = running.invoke("hello")
    with running.relay():
        running.until_status(session, "idle_end_turn")
    assert running.runtime.faults.left() == []
    delegation = Delegation.objects.get(session_id=session.pk)
    [vault], [credential] = on_runtime(running)
    assert delegation.cma_vault_id == vault["id"]
    assert credential["auth"]["mcp_server_url"] == endpoint_of(server)
    assert delegation.bearer_hash
    [there] = running.sessions_on_runtime()
    assert there["vault_ids"][0] == vault["id"], "the first vault that has a server's credential wins"
    assert session_bearers.PREFIX not in str(there)

    assert discard_all() == 0, "it may go on"
    done(CloseSession(session_id=session.pk), alice)
    assert discard_all() == 1
    assert on_runtime(running) == ([], [])
    assert discard_all() == 0


def over(running: Running, organization: Organization) -> Delegation:
    """The delegation of a session that is over, whose vault is still there."""

    async def made() -> dict[str, Any]:
        async with CMA(base_url=running.runtime.url, api_key=running.runtime.key) as cma:
            return await cma.vaults.create({"display_name": NAME})

    session, alice = running.invoke("hello"), running.world.alice
    AgentSession.objects.filter(pk=session.pk).update(status=Status.TERMINATED)
    return Delegation.objects.create(
        organization=organization,
        user_id=alice.pk,
        user_ref=alice.ref,
        agent_id=running.agent.pk,
        session_id=session.pk,
        cma_vault_id=async_to_sync(made)()["id"],
        vault_attempted_at=timezone.now(),
    )


def test_neither_a_vault_that_is_refused_nor_an_account_that_is_silent_keeps_another_waiting(
    running: Running, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = running.world
    settings.CMA_ACCOUNTS = {str(world.zeta.pk): {"url": "http://127.0.0.1:9", "key": "silent"}}
    monkeypatch.setattr(session_vaults, "BATCH", 1)
    unanswered, refused, other = (over(running, whose) for whose in (world.zeta, world.acme, world.acme))
    running.runtime.faults.add("DELETE /v1/vaults/{id}", status=403)
    assert [discard_all() for _ in range(3)] == [0, 1, 0], "the other comes next, and nothing is asked twice at once"
    assert {one["id"] for one in on_runtime(running)[0]} == {unanswered.cma_vault_id, refused.cma_vault_id}
    Delegation.objects.filter(pk=refused.pk).update(vault_due_at=timezone.now() - timedelta(seconds=1))
    assert discard_all() == 1
    left = dict(Delegation.objects.values_list("pk", "cma_vault_id"))
    assert left == {unanswered.pk: unanswered.cma_vault_id, refused.pk: "", other.pk: ""}

    settings.CMA_ACCOUNTS = {}
    Delegation.objects.filter(pk=unanswered.pk).update(vault_due_at=timezone.now() - timedelta(seconds=1))
    assert discard_all() == 1, "the account answers again"
    assert on_runtime(running) == ([], [])
