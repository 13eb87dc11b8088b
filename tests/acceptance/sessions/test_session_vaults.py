"""The vault of one delegated session: there before the session, found again after a lost answer, gone after its end."""

from typing import Any

from asgiref.sync import async_to_sync

from accounts import session_bearers
from accounts.models import Delegation
from agents.commands import AttachServer
from agents.endpoints import endpoint_of
from agents.kinds import SyncKind
from agents.spec import AttachedServer
from powerloom.cma.client import CMA
from powerloom.reconcile.models import SyncState
from sessions.commands import CloseSession
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
