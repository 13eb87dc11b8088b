"""What is done to MCP servers, credentials and secrets from their rooms, and that no value ever comes back."""

import re

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Secret
from agents.models import Agent, CallOutcome, Credential, MCPCall, MCPDeployment, MCPServer, MCPTool
from powerloom.audit.models import Entry
from tests.connected import attach_server, make_server
from tests.deployed import make_deployment, make_failed
from tests.foreign import Foreign
from tests.integration.console.test_agent_pages import words
from tests.integration.console.test_room_pages import make_secret
from tests.world import World, console_of

pytestmark = pytest.mark.once

PART = {"HX-Request": "true"}


def test_a_template_is_deployed_by_its_form_with_its_registration(world: World, alice: Client) -> None:
    said = {
        "ou_id": str(world.engineering.id),
        "name": "docs",
        "display_name": "Docs",
        "policy.allowed_paths_which": "*listed*",
        "policy.allowed_paths_list": "guides\nREADME.md",
        "policy.denied_tools": ["write_file"],
    }
    answer = alice.post("/mcp-servers/new/files", said, headers=PART)
    deployment = MCPDeployment.objects.get()
    assert answer.headers["HX-Redirect"] == f"/mcp-servers/{deployment.registration.id}"
    assert deployment.policy == {"allowed_paths": ["guides", "README.md"], "denied_tools": ["write_file"]}


def test_what_a_template_refuses_is_said_beside_its_field(world: World, alice: Client) -> None:
    said = {
        "ou_id": str(world.engineering.id),
        "name": "docs",
        "display_name": "Docs",
        "config.root": "relative",
        "policy.calls_per_minute": "7000",
    }
    answer = alice.post("/mcp-servers/new/files", said, headers=PART)
    assert answer.status_code == 422
    assert re.search(r'name="policy.calls_per_minute"[^>]*aria-invalid="true"', answer.content.decode())
    fixed = alice.post("/mcp-servers/new/files", said | {"policy.calls_per_minute": "7"}, headers=PART)
    assert fixed.status_code == 422
    assert "a root is an absolute path" in words(fixed.content)
    assert 'value="docs"' in fixed.content.decode()


def test_a_policy_is_changed_by_its_editor(world: World, alice: Client) -> None:
    deployment = make_deployment(world.alice, world.engineering, policy_json={"denied_tools": ["fail"]})
    address = f"/mcp-servers/{deployment.registration.id}/policy"
    said = {"policy.allowed_tools_which": "*listed*", "policy.allowed_tools_list": ["echo"]}
    assert alice.post(address, said, headers=PART).status_code == 204
    deployment.refresh_from_db()
    assert deployment.policy == {"allowed_tools": ["echo"]}
    assert "You need mcp_deployment:update" in words(console_of(world.vera).get(address).content)


def test_problems_come_first(world: World, alice: Client) -> None:
    make_failed(make_deployment(world.alice, world.engineering, "broken"))
    make_server(world.engineering, "fine")
    changed = make_server(world.engineering, "changed")
    MCPTool.objects.filter(server=changed, name="fail").update(sha256="b" * 64)
    page = alice.get("/mcp-servers").content.decode()
    names = re.findall(r'<td class="fit"><a href="/mcp-servers/[^"]+">([^<]+)</a>', page)
    assert names == ["changed", "broken", "fine"]
    only = alice.get("/mcp-servers?problems=yes").content.decode()
    assert ">fine<" not in only


def test_a_changed_tool_shows_its_diff_and_is_pinned_as_it_was_seen(world: World, alice: Client) -> None:
    server = make_server(world.engineering)
    MCPTool.objects.filter(server=server, name="fail").update(
        definition={"name": "fail", "description": "Now deletes all."}, sha256="b" * 64
    )
    page = alice.get(f"/mcp-servers/{server.id}?tab=tools").content.decode()
    assert "<ins>Now deletes all.</ins>" in page
    address = f"/mcp-servers/{server.id}/pin"
    assert alice.post(address, {"seen": f"{'c' * 64} fail"}, headers=PART).status_code == 409
    assert alice.post(address, {"seen": f"{'b' * 64} fail"}, headers=PART).status_code == 204
    assert MCPTool.objects.get(server=server, name="fail").is_on


def test_the_log_shows_each_call_with_its_decision_and_who_made_it(world: World, alice: Client, agent: Agent) -> None:
    deployment = make_deployment(world.alice, world.engineering)
    made = {
        "organization": world.acme,
        "deployment": deployment,
        "milliseconds": 3,
        "created_at": timezone.now(),
        "tool": "echo",
    }
    MCPCall.objects.create(outcome=CallOutcome.OK, agent_id=agent.id, **made)
    MCPCall.objects.create(outcome=CallOutcome.DENIED, rule="denied_tools", tried_by_id=world.bob.id, **made)
    address = f"/mcp-servers/{deployment.registration.id}?tab=calls"
    page = words(alice.get(address).content)
    assert re.search(r"echo Denied denied_tools user:bob@acme.example, by hand", page)
    assert re.search(r"echo Answered – code-reviewer", page)
    assert "denied_tools" not in words(alice.get(f"{address}&outcome=ok").content)


def test_a_tool_that_cannot_be_called_says_so_before_anything_is_called(world: World, alice: Client) -> None:
    server = make_deployment(world.alice, world.engineering).registration
    MCPTool.objects.create(
        server=server, name="echo", sha256="a" * 64, pinned_sha256="a" * 64, definition={"input_schema": {}}
    )
    answer = alice.post(f"/mcp-servers/{server.id}/try?tool=echo", headers=PART)
    assert answer.status_code == 409
    assert "so nothing answers" in words(answer.content)
    refused = console_of(world.eve).post(f"/mcp-servers/{server.id}/try?tool=echo", headers=PART)
    assert refused.status_code == 403
    assert Entry.objects.filter(action="mcp_server:use", decision="denied").count() == 1


def test_a_tool_is_tried_by_hand_and_what_it_answers_stays_text(world: World, alice: Client, foreign: Foreign) -> None:
    schema = {"type": "object", "properties": {"words": {"type": "string"}}, "required": ["words"]}
    foreign.wants, foreign.says = "a-token", "<script>alert(1)</script> Found 3 notes."
    server = make_server(world.engineering, url=foreign.url, tools=())
    definition = {"name": "search", "description": "Searches.", "input_schema": schema}
    MCPTool.objects.create(
        server=server, name="search", definition=definition, sha256="a" * 64, pinned=definition, pinned_sha256="a" * 64
    )
    address = f"/mcp-servers/{server.id}/try?tool=search"
    assert "Searches." in words(alice.get(address).content)
    assert alice.post(address, {"token": "a-token"}, headers=PART).status_code == 422  # it needs its words
    answer = alice.post(address, {"arguments.words": "locks", "token": "a-token"}, headers=PART)
    page = answer.content.decode()
    assert answer.status_code == 200, words(answer.content)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; Found 3 notes." in page
    assert "<script>alert" not in page
    assert "a-token" not in page
    assert foreign.called == [("search", {"words": "locks"})]
    assert Entry.objects.filter(action="mcp_server:use", decision="allowed").count() == 1


def test_destroying_waits_for_its_users_and_wants_the_name(world: World, alice: Client, agent: Agent) -> None:
    server: MCPServer = make_deployment(world.alice, world.engineering).registration
    attach_server(world.alice, agent, server)
    address = f"/mcp-servers/{server.id}/destroy"
    page = words(alice.get(address).content)
    assert "Agents that have it 1 Code-reviewer" in page
    assert "Detach it from them first" in page
    agent.server_attachments.all().delete()
    assert alice.post(address, {"typed": "other"}, headers=PART).status_code == 422
    assert alice.post(address, {"typed": server.name}, headers=PART).headers["HX-Redirect"] == "/mcp-servers"
    server.refresh_from_db()
    assert server.archived_at is not None


def test_a_credential_is_given_rotated_and_revoked_and_never_shown(world: World, alice: Client, agent: Agent) -> None:
    server = make_server(world.engineering)
    said = {"agent": str(agent.id), "server": str(server.id), "token": "very secret"}
    refused = alice.post("/credentials/new", said, headers=PART)
    assert (refused.status_code, b"very secret" in refused.content) == (422, False)
    alice.post("/credentials/new", said | {"token": "very-secret"}, headers=PART)
    credential = Credential.objects.get()
    address = f"/credentials/{credential.id}"
    for path in ("/credentials", address, f"{address}/rotate", f"/agents/{agent.id}?tab=credentials"):
        assert b"very-secret" not in alice.get(path).content
    assert alice.post(f"{address}/rotate", {"token": "another"}, headers=PART).status_code == 204
    assert alice.post(f"{address}/delete", {"typed": agent.name}, headers=PART).status_code == 204
    credential.refresh_from_db()
    assert (credential.number, credential.sealed_id) == (2, None)


def test_a_minted_bearer_for_a_foreign_server_is_shown_once(world: World, alice: Client, agent: Agent) -> None:
    credential = attach_server(world.alice, agent, make_server(world.engineering))
    address = f"/credentials/{credential.id}/reveal"
    assert b"plb_" in alice.post(address, headers=PART).content
    again = alice.post(address, headers=PART)
    assert (again.status_code, b"plb_" in again.content) == (409, False)


def test_a_secret_goes_in_and_never_comes_out(world: World, alice: Client) -> None:
    said = {"ou_id": str(world.engineering.id), "name": "slack", "kind": "slack_token", "value": "xoxb-hidden"}
    bad = alice.post("/secrets/new", said | {"name": "Not Good"}, headers=PART)
    assert (bad.status_code, b"xoxb-hidden" in bad.content) == (422, False)
    assert alice.post("/secrets/new", said, headers=PART).status_code == 204
    taken = alice.post("/secrets/new", said, headers=PART)
    assert (taken.status_code, b"xoxb-hidden" in taken.content) == (409, False)
    secret = Secret.objects.get()
    for path in ("/secrets", f"/secrets/{secret.id}", f"/secrets/{secret.id}/rotate"):
        assert b"xoxb-hidden" not in alice.get(path).content
    assert alice.post(f"/secrets/{secret.id}/rotate", {"value": "xoxb-next"}, headers=PART).status_code == 204
    assert alice.post(f"/secrets/{secret.id}/delete", {"typed": "slack"}, headers=PART).status_code == 204
    secret.refresh_from_db()
    assert (secret.version, secret.sealed_id) == (2, None)


def test_a_secret_says_which_deployments_and_agents_use_it(world: World, alice: Client, agent: Agent) -> None:
    secret = make_secret(world.alice, world.engineering)
    config = {"token_secret": secret.name}
    deployment = make_deployment(world.alice, world.engineering, "team-slack", "slack", config_json=config)
    attach_server(world.alice, agent, deployment.registration)
    page = words(alice.get(f"/secrets/{secret.id}/users").content)
    assert "Deployments that name it 1 Team-slack" in page
    assert "Agents that call them 1 Code-reviewer" in page
