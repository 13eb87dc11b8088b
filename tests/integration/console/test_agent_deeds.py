"""What is done to agents from their room goes through the door; what is refused comes back with what was typed."""

from typing import Any

import pytest
import yaml
from django.test import Client

from agents.commands import UpdateAgent
from agents.models import Agent, AgentMCPServer, AgentSkill, Credential
from agents.spec import AgentChanges
from powerloom.manifests.parse import read
from sessions.models import Status
from tests.connected import attach_server, make_server
from tests.declared import attach, done, make_agent, make_skill, make_version
from tests.integration.console.conftest import make_session
from tests.integration.console.test_agent_pages import words
from tests.world import World, console_of

pytestmark = pytest.mark.once

PART = {"HX-Request": "true"}
TOOLS = dict.fromkeys(
    ["tool_edit", "tool_read", "tool_write", "tool_glob", "tool_grep", "tool_web_fetch", "tool_web_search"],
    "always_allow",
)


def form(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "ou_id": str(world.engineering.id),
        "name": "reviewer",
        "display_name": "Reviewer",
        "model": "claude-sonnet-4-6",
        "system_prompt": "Review code.\r\nBe kind.\r\n",
        "owner": world.bob.ref,
        "agent_kind": "user",
        "tool_bash": "off",
        "metadata": "team = payments",
        **TOOLS,
        **changes,
    }


def edit(agent: Agent, **changes: Any) -> dict[str, Any]:
    return {
        "generation": agent.generation,
        "display_name": agent.display_name,
        "model": "claude-sonnet-4-6",
        "system_prompt": "Review code.\r\n",
        "tool_bash": "always_allow",
        **TOOLS,
        **changes,
    }


def newest(agent: Agent) -> dict[str, Any]:
    agent.refresh_from_db()
    spec: dict[str, Any] = agent.versions.get(number=agent.version).spec
    return spec


def test_an_agent_is_declared_on_one_page(world: World, alice: Client) -> None:
    answer = alice.post("/agents/new", form(world, effort="high"), headers=PART)
    agent = Agent.objects.get(name="reviewer")
    assert answer.headers["HX-Redirect"] == f"/agents/{agent.id}"
    spec = newest(agent)
    assert (spec["model"], spec["system_prompt"]) == (
        {"id": "claude-sonnet-4-6", "effort": "high"},
        "Review code.\nBe kind.\n",
    )
    assert (spec["tools"]["bash"]["enabled"], spec["metadata"]) == (False, {"team": "payments"})
    assert agent.owner_principal.ref == world.bob.ref


@pytest.mark.parametrize(
    ("changes", "status", "complaint"),
    [
        ({"name": "No Spaces"}, 422, "String should match pattern"),
        ({"owner": "user:nobody@acme.example"}, 422, "nobody called user:nobody@acme.example"),
        ({"metadata": "no pair"}, 422, "A pair is written key = value"),
        ({"metadata": "powerloom_x = 1"}, 422, "are the reconciler"),
        ({"max_duration": "601"}, 422, "less than or equal to 600"),
        ({"name": "code-reviewer"}, 409, "There is an agent code-reviewer in this OU already"),
    ],
)
def test_what_is_wrong_is_said_in_place(
    world: World, alice: Client, changes: dict[str, str], status: int, complaint: str
) -> None:
    make_agent(world.bob, world.engineering)
    answer = alice.post("/agents/new", form(world, **changes), headers=PART)
    assert answer.status_code == status
    page = answer.content.decode()
    assert complaint in words(answer.content)
    assert "Be kind." in page
    assert 'value="Reviewer"' in page


def test_the_manifest_beside_the_form_says_what_the_form_says(world: World, alice: Client) -> None:
    half = alice.post("/agents/new/manifest", {"display_name": "Half", "ou_id": str(world.engineering.id)})
    assert "display_name: Half" in half.content.decode()
    page = alice.post("/agents/new/manifest", form(world)).content.decode()
    assert "ou_path: /acme/engineering" in page
    assert Agent.objects.count() == 0


def test_an_agent_is_copied_as_a_manifest_that_reads_back(world: World, alice: Client, agent: Agent) -> None:
    skill = make_skill(world.bob, world.engineering)
    make_version(world.bob, skill)
    attach(world.alice, agent, skill)
    attach_server(world.alice, agent, make_server(world.engineering))
    page = alice.get(f"/agents/{agent.id}/manifest")
    text = str(page.context["text"])
    assert [one["kind"] for one in yaml.safe_load_all(text)] == ["Agent", "AgentSkill", "AgentMCPServer", "Credential"]
    assert len(read(text.encode())) == 4


def test_editing_changes_what_differs_and_nothing_else(alice: Client, agent: Agent) -> None:
    address = f"/agents/{agent.id}/edit"
    assert alice.post(address, edit(agent), headers=PART).status_code == 204
    assert agent.version == 1
    alice.post(address, edit(agent, tool_bash="off", metadata="a = b"), headers=PART)
    spec = newest(agent)
    assert (spec["system_prompt"], spec["tools"]["bash"]["enabled"], spec["metadata"]) == (
        "Review code.\n",
        False,
        {"a": "b"},
    )
    alice.post(address, edit(agent, tool_bash="off"), headers=PART)
    assert newest(agent)["metadata"] == {}


def test_an_edit_of_what_changed_meanwhile_is_stale_and_keeps_what_was_typed(
    world: World, alice: Client, agent: Agent
) -> None:
    seen = edit(agent, display_name="Mine")
    done(UpdateAgent(agent_id=agent.id, changes=AgentChanges(model="claude-opus-4-1")), world.bob)
    answer = alice.post(f"/agents/{agent.id}/edit", seen, headers=PART)
    assert answer.status_code == 409
    assert "was changed meanwhile" in words(answer.content)
    assert 'value="Mine"' in answer.content.decode()


def test_any_two_versions_are_compared_and_an_old_one_restored(world: World, alice: Client, agent: Agent) -> None:
    for model in ("claude-opus-4-1", "claude-haiku-4-5"):
        done(UpdateAgent(agent_id=agent.id, changes=AgentChanges(model=model)), world.bob)
    page = alice.get(f"/agents/{agent.id}?tab=versions&a=1&b=3").content.decode()
    assert "From version 1 to version 3" in page
    assert "<ins>claude-haiku-4-5</ins>" in page
    assert alice.post(f"/agents/{agent.id}/versions/1/restore", headers=PART).status_code == 204
    assert newest(agent)["model"] == "claude-sonnet-4-6"


def test_before_an_agent_is_archived_its_running_sessions_are_counted(
    world: World, agent: Agent, alice: Client
) -> None:
    for status in (Status.RUNNING, Status.RUNNING, Status.FAILED):
        make_session(agent, world.bob, status=status, ended_at=None)
    page = words(alice.get(f"/agents/{agent.id}/archive").content)
    assert "Sessions that have not ended 2 2 more" in page


def test_archiving_shows_what_goes_with_it_and_wants_the_name(world: World, alice: Client, agent: Agent) -> None:
    attach_server(world.alice, agent, make_server(world.engineering))
    address = f"/agents/{agent.id}/archive"
    assert "Credentials that are destroyed 1" in words(alice.get(address).content)
    assert alice.post(address, {"typed": "wrong"}, headers=PART).status_code == 422
    assert alice.post(address, {"typed": agent.name}, headers=PART).headers["HX-Redirect"] == "/agents"
    agent.refresh_from_db()
    assert agent.archived_at is not None


def test_skills_are_attached_pinned_and_detached(world: World, alice: Client, agent: Agent) -> None:
    skill = make_skill(world.bob, world.engineering)
    version = make_version(world.bob, skill)
    address = f"/agents/{agent.id}/skills"
    unknown = alice.post(address, {"skill": str(skill.id), "version": "9"}, headers=PART)
    assert (unknown.status_code, "has no version 9" in words(unknown.content)) == (422, True)
    alice.post(address, {"skill": str(skill.id), "version": "1"}, headers=PART)
    alice.post(address, {"skill": "pdf"}, headers=PART)
    assert {one.prebuilt or one.skill_version_id for one in AgentSkill.objects.all()} == {version.id, "pdf"}
    alice.post(f"{address}/{skill.id}/detach", headers=PART)
    alice.post(f"{address}/pdf/detach", headers=PART)
    assert not AgentSkill.objects.exists()


def test_servers_are_attached_with_a_credential_set_and_detached(world: World, alice: Client, agent: Agent) -> None:
    server = make_server(world.engineering)
    address = f"/agents/{agent.id}/mcp-servers"
    alice.post(address, {"server": str(server.id), "permission": "four_eyes"}, headers=PART)
    row = AgentMCPServer.objects.get()
    assert (row.permission, row.four_eyes, Credential.objects.count()) == ("always_ask", True, 1)
    said = {"permission": "always_allow", "tool_echo": "off", "tool_fail": "always_ask"}
    alice.post(f"{address}/{server.id}", said, headers=PART)
    row.refresh_from_db()
    assert (row.permission, row.four_eyes) == ("always_allow", False)
    assert row.tools == {
        "echo": {"enabled": False, "permission": None},
        "fail": {"enabled": True, "permission": "always_ask"},
    }
    alice.post(f"{address}/{server.id}/detach", headers=PART)
    assert not AgentMCPServer.objects.exists()


def test_who_may_not_sees_why(world: World, agent: Agent) -> None:
    page = console_of(world.eve).get(f"/agents/{agent.id}").content.decode()
    for action in ("agent:update", "agent:archive"):
        assert f'aria-description="You need {action} on /acme/engineering' in page
    refused = console_of(world.eve).post(f"/agents/{agent.id}/edit", edit(agent, display_name="Mine"), headers=PART)
    assert refused.status_code == 403
    assert "You need agent:update" in words(refused.content)
