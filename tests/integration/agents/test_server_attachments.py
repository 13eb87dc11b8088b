"""MCP servers attached to agents: idempotent, with their credential, under the rights of who attaches and of who will
use them.
"""

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pydantic import TypeAdapter

from accounts.models import User
from agents.api.shapes import AgentDetailOut, ServerAttachmentOut
from agents.commands import AttachServer
from agents.kinds import SyncKind
from agents.models import Agent, AgentMCPServer, AgentVersion, Credential, MCPServer
from agents.queries import spec_of
from agents.queries.servers import users_of_server
from agents.spec import AttachedServer
from powerloom.audit.models import Entry
from tests.connected import attach_server, make_managed_server, make_server
from tests.declared import is_stale, make_agent, make_live
from tests.standing import standing
from tests.world import World, api_of, bind, make_role, make_user

ASK: dict[str, Any] = {"permission": "always_ask", "tools": {"echo": {"permission": "always_allow"}}, "four_eyes": True}


@standing
def agent(world: World) -> Agent:
    return make_agent(world.bob, world.engineering)


@standing
def server(world: World) -> MCPServer:
    return make_server(world.engineering)


def post(by: User, agent: Agent, server: object, query: str = "", **fields: Any) -> Any:
    body = {"mcp_server_registration_id": str(server), **fields}
    return api_of(by).post(f"/agents/{agent.id}/mcp-servers{query}", body)


def attached(by: User, agent: Agent) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = api_of(by).get(f"/agents/{agent.id}/mcp-servers").json()
    TypeAdapter(list[ServerAttachmentOut]).validate_python(rows)
    return rows


# --- Attach


def test_attaching_makes_a_version_and_a_credential_in_one_set(world: World, agent: Agent, server: MCPServer) -> None:
    make_live(agent.id)
    answer = post(world.bob, agent, server.id)
    assert answer.status_code == 201
    assert attached(world.eve, agent) == [answer.json()]
    [spec] = AgentVersion.objects.get(agent=agent, number=2).spec["mcp_servers"]
    plain = {"permission": "always_allow", "tools": {}, "four_eyes": False}
    assert spec == {"mcp_server_registration_id": str(server.id), **plain}
    credential = Credential.objects.get(agent=agent, server=server)
    told = {name: answer.json()[name] for name in ("name", "server_name", "state", "withheld", "credential")}
    assert told == {
        "name": "notes",
        "server_name": "notes",
        "state": "verified",
        "withheld": "",
        "credential": {
            "id": str(credential.id),
            "status": "unsynced",
            "why": "the credential is waiting to be pushed",
        },
    }
    assert is_stale(SyncKind.AGENT, agent.id)
    assert is_stale(SyncKind.CREDENTIAL, credential.id)
    sets = Entry.objects.filter(action__in=["agent:attach_mcp_server", "credential:create"]).values_list("set_id")
    assert (len(sets), len(set(sets))) == (2, 1)


def test_attaching_again_changes_nothing(world: World, agent: Agent, server: MCPServer) -> None:
    post(world.bob, agent, server.id, **ASK)
    credential = Credential.objects.get()
    make_live(agent.id, credential.id)
    [first] = attached(world.bob, agent)
    assert post(world.bob, agent, server.id).json() == first
    assert Agent.objects.get().version == 2
    assert not is_stale(SyncKind.AGENT, agent.id)
    assert not is_stale(SyncKind.CREDENTIAL, credential.id)
    assert Credential.objects.count() == 1


def test_attaching_again_changes_what_is_named_and_widens_nothing_else(
    world: World, agent: Agent, server: MCPServer
) -> None:
    post(world.bob, agent, server.id, **ASK)
    answer = post(world.bob, agent, server.id, tools={"fail": {"enabled": False}}).json()
    assert (answer["permission"], answer["four_eyes"]) == ("always_ask", True)
    assert answer["tools_on"] == {"echo": "always_ask"}


def test_a_tool_without_a_permission_of_its_own_has_that_of_the_attachment(
    world: World, agent: Agent, server: MCPServer
) -> None:
    answer = post(world.bob, agent, server.id, **ASK).json()
    assert answer["tools_on"] == {"echo": "always_allow", "fail": "always_ask"}


def test_the_command_still_knows_what_was_named_after_it_was_stored() -> None:
    named = AttachedServer(mcp_server_registration_id=uuid4(), four_eyes=True)
    stored = AttachServer(agent_id=uuid4(), server=named).model_dump(mode="json")
    assert AttachServer.model_validate(stored).server.model_fields_set == named.model_fields_set


def test_the_agent_shows_its_servers(world: World, agent: Agent) -> None:
    attach_server(world.bob, agent, make_managed_server(world.engineering))
    told = api_of(world.eve).get(f"/agents/{agent.id}").json()
    AgentDetailOut.model_validate(told)
    [shown] = told["mcp_servers"]
    assert (shown["deployment_status"], shown["tools_on"]) == (
        "running",
        {"echo": "always_allow", "fail": "always_allow"},
    )


def test_absent_foreign_unseen_and_archived_servers_answer_alike(world: World, agent: Agent) -> None:
    foreign = make_server(world.zeta.ous.get())
    unseen = make_server(world.sales, "unseen")
    archived = make_server(world.engineering, "gone", archived_at=timezone.now())
    answers = [post(world.bob, agent, id_) for id_ in (uuid4(), foreign.id, unseen.id, archived.id)]
    assert {(one.status_code, one.json()["error"]["message"]) for one in answers} == {(404, "Not found.")}
    assert not Credential.objects.exists()


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"permission": "auto"}, "permission"),
        ({"tools": {"echo": {"permission": "never"}}}, "tools.echo.permission"),
        ({"tools": {"": {}}}, "tools"),
        ({"tools": {f"tool-{number}": {} for number in range(129)}}, "tools"),
        ({"url": "https://elsewhere.example"}, "url"),
    ],
)
def test_wrong_input_is_refused(
    world: World, agent: Agent, server: MCPServer, sent: dict[str, Any], field: str
) -> None:
    refused = post(world.bob, agent, server.id, **sent)
    assert refused.status_code == 422
    assert refused.json()["error"]["detail"]["field"].startswith(field)
    assert attached(world.bob, agent) == []


def test_the_twenty_first_server_is_refused_at_the_write(world: World, agent: Agent) -> None:
    for number in range(20):
        attach_server(world.bob, agent, make_server(world.engineering, f"server-{number}", tools=()))
    refused = post(world.bob, agent, make_server(world.engineering, "one-more").id)
    assert (refused.status_code, refused.json()["error"]["detail"]["field"]) == (422, "mcp_servers")
    assert len(attached(world.bob, agent)) == 20


def test_a_list_costs_the_same_for_any_number(world: World, agent: Agent) -> None:
    counts = []
    for number in range(3):
        attach_server(world.bob, agent, make_server(world.engineering, f"server-{number}"))
        with CaptureQueriesContext(connection) as captured:
            attached(world.bob, agent)
        counts.append(len(captured))
    assert counts[0] == counts[2]


# --- What is lent


def test_the_diff_says_what_invoking_will_lend(world: World, agent: Agent, server: MCPServer) -> None:
    foreseen = post(world.bob, agent, server.id, "?dry_run=true").json()
    lends = (
        "Whoever may invoke agent:/acme/engineering/code-reviewer lets this user agent use the MCP server notes, "
        "with the rights of user:bob@acme.example."
    )
    assert [step["after"].get("lends") for step in foreseen["commands"]] == [lends, None]
    assert not AgentMCPServer.objects.exists()
    post(world.bob, agent, server.id)
    assert lends in Entry.objects.get(action="agent:attach_mcp_server").body


def test_a_service_agent_lends_its_own_rights(world: World, server: MCPServer) -> None:
    service = make_agent(world.bob, world.engineering, "nightly", agent_kind="service")
    bind(service.id, "AgentOwner", world.engineering)
    post(world.bob, service, server.id)
    assert "with the agent's own rights" in Entry.objects.get(action="agent:attach_mcp_server").body


def owner(world: World, *denied: str) -> User:
    """Somebody who owns agents in platform and may use what is above it, but for what is denied."""
    ada = make_user("ada@acme.example", home=world.platform)
    bind(ada, "AgentOwner", world.engineering)
    make_role(world.acme, "Without", *denied)
    bind(ada, "Without", world.engineering, decision="deny")
    return ada


@pytest.mark.parametrize("right", ["mcp_server:use", "credential:create", "agent:attach_mcp_server"])
def test_it_takes_the_use_of_the_server_and_both_rights(world: World, server: MCPServer, right: str) -> None:
    ada = owner(world, right)
    agent = make_agent(ada, world.platform)
    refused = post(ada, agent, server.id)
    assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, right)
    assert not AgentMCPServer.objects.exists()
    assert not Credential.objects.exists()


def test_it_takes_the_use_of_the_server_by_the_agents_owner(world: World, server: MCPServer) -> None:
    agent = make_agent(world.alice, world.engineering, owner_principal_id=world.vera.id)
    refused = post(world.alice, agent, server.id)
    assert refused.status_code == 403
    assert "agent's principal needs mcp_server:use" in refused.json()["error"]["message"]
    bind(world.vera, "AgentOwner", world.engineering)
    assert post(world.alice, agent, server.id).status_code == 201


# --- Detach


def test_detaching_names_the_registration(world: World, agent: Agent, server: MCPServer) -> None:
    credential = attach_server(world.bob, agent, server)
    make_live(agent.id, credential.id)
    path = f"/agents/{agent.id}/mcp-servers/{server.id}"
    assert api_of(world.bob).delete(path).status_code == 204
    assert attached(world.bob, agent) == []
    assert spec_of(Agent.objects.get()).mcp_servers == []
    assert is_stale(SyncKind.AGENT, agent.id)
    assert is_stale(SyncKind.CREDENTIAL, credential.id)
    assert api_of(world.bob).delete(path).status_code == 404


def test_detaching_takes_no_right_on_the_server(world: World, agent: Agent, server: MCPServer) -> None:
    attach_server(world.bob, agent, server)
    make_role(world.acme, "Blind", "mcp_server:read", "mcp_server:use")
    bind(world.bob, "Blind", world.engineering, decision="deny")
    assert api_of(world.bob).delete(f"/agents/{agent.id}/mcp-servers/{server.id}").status_code == 204


def test_whoever_has_a_server_is_known(world: World, agent: Agent, server: MCPServer) -> None:
    attach_server(world.bob, agent, server)
    gone = make_agent(world.bob, world.engineering, "gone")
    attach_server(world.bob, gone, server)
    api_of(world.bob).delete(f"/agents/{gone.id}")
    assert list(users_of_server(server)) == [agent]


# --- Restore


def with_borrowed_server(world: World, agent: Agent) -> MCPServer:
    """A server in sales that version 2 of the agent has, and that was detached again."""
    server = make_server(world.sales)
    bind(world.bob, "AgentOwner", world.sales)
    attach_server(world.bob, agent, server, **ASK)
    api_of(world.bob).delete(f"/agents/{agent.id}/mcp-servers/{server.id}")
    return server


def restore(by: User, agent: Agent) -> Any:
    return api_of(by).post(f"/agents/{agent.id}/versions/2/restore")


def test_restoring_brings_servers_back_with_their_settings(world: World, agent: Agent) -> None:
    server = with_borrowed_server(world, agent)
    [before] = AgentVersion.objects.get(number=2).spec["mcp_servers"]
    make_live(agent.id, Credential.objects.get().id)
    assert restore(world.bob, agent).status_code == 200
    assert spec_of(Agent.objects.get()).as_json()["mcp_servers"] == [before]
    assert [row["mcp_server_registration_id"] for row in attached(world.bob, agent)] == [str(server.id)]
    assert is_stale(SyncKind.CREDENTIAL, Credential.objects.get().id)


def test_restoring_takes_servers_away_that_the_version_had_not(world: World, agent: Agent, server: MCPServer) -> None:
    credential = attach_server(world.bob, agent, server)
    make_live(agent.id, credential.id)
    assert api_of(world.bob).post(f"/agents/{agent.id}/versions/1/restore").status_code == 200
    assert attached(world.bob, agent) == []
    assert is_stale(SyncKind.CREDENTIAL, credential.id)


def test_restoring_takes_the_use_of_every_server_that_comes_back(world: World, agent: Agent) -> None:
    with_borrowed_server(world, agent)
    make_role(world.acme, "NoUse", "mcp_server:use")
    bind(world.bob, "NoUse", world.sales, decision="deny")
    refused = restore(world.bob, agent)
    assert (refused.status_code, refused.json()["error"]["detail"]["permission"]) == (403, "mcp_server:use")
    refused = restore(world.alice, agent)
    assert refused.status_code == 403
    assert "agent's principal" in refused.json()["error"]["message"]
    assert not AgentMCPServer.objects.exists()


def test_a_server_gone_or_unseen_stops_a_restore_alike(world: World, agent: Agent) -> None:
    server = with_borrowed_server(world, agent)
    make_role(world.acme, "Blind", "mcp_server:read")
    deny = bind(world.bob, "Blind", world.sales, decision="deny")
    unseen = restore(world.bob, agent)
    deny.delete()
    MCPServer.objects.filter(pk=server.id).update(archived_at=timezone.now())
    gone = restore(world.bob, agent)
    assert unseen.status_code == gone.status_code == 409
    assert unseen.json()["error"]["message"] == gone.json()["error"]["message"]
