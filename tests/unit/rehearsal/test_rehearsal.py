"""A conversation with the meta-agent's rehearsal, over an organization in memory."""

import json
from typing import Any

import pytest

from powerloom.cma.local.model import META_TOOLS, McpTool, is_meta, script
from tests.unit.rehearsal.acted import Conversation, Organization, id_of

pytestmark = pytest.mark.once

SALES = "Set up a scoped sales-prospecting agent for Emma on the sales team with Apollo and Gmail access."
LOOKED = ["list_ous", "list_users", "describe_user", "list_mcp_servers", "list_skills", "list_agents"]
MADE = [
    "create_agent",
    "attach_mcp_server_to_agent",
    "attach_mcp_server_to_agent",
    "attach_skill_to_agent",
    "create_credential",
    "create_credential",
    "describe_agent",
]
REFUSAL: dict[str, Any] = {
    "status": 403,
    "said": "API returned 403: You need agent:create on /dev-org/sales.",
    "error": {"code": "permission_denied", "message": "You need agent:create.", "detail": {"explain": {"facts": []}}},
}
HELD = {"approval_request_id": "0192-req", "status": "pending", "approvers": ["OrgAdmin"]}


@pytest.fixture
def talk() -> Conversation:
    return Conversation(Organization())


def test_the_sales_story_in_dependency_order_with_its_summary(talk: Conversation) -> None:
    said = talk.say(SALES)
    assert talk.called == [*LOOKED, *MADE]
    given = dict(talk.organization.calls)["create_agent"]
    assert (given["name"], given["model"]) == ("sales-prospector", "claude-sonnet-4-6")
    assert given["owner_principal_id"] == id_of("emma@dev.local")
    assert given["ou_id"] == id_of("/dev-org/sales")
    for line in (
        "[scripted local model] This is a scripted rehearsal",
        "Done. Agent sales-prospector created in /dev-org/sales:",
        f"- ID: {id_of('agent')}",
        "- Model: claude-sonnet-4-6",
        "- Owner: emma@dev.local",
        "- MCP servers: apollo-mcp, gmail-mcp",
        "- Skills: web-search",
        "- Credentials: minted",
        "cma_agent_id is null: the reconciler has not pushed it yet.",
        f"You can invoke it at POST /agents/{id_of('agent')}/invoke.",
    ):
        assert line in said


def test_it_asks_for_the_ou_and_goes_on_with_the_answer(talk: Conversation) -> None:
    asked = talk.say("Create a triage agent for Emma with Gmail access")
    assert "Which OU should this be in?" in asked
    assert "home is /dev-org/sales" in asked
    assert "create_agent" not in talk.called
    assert "In /dev-org/engineering" in talk.say("What exists in engineering?")  # a question in between
    said = talk.say("In sales, please.")
    assert "Done. Agent triager-agent" not in said
    assert "Done. Agent triager created in /dev-org/sales" in said
    assert "- MCP servers: gmail-mcp" in said
    assert talk.called.count("create_agent") == 1


@pytest.mark.parametrize(
    ("prompt", "question"),
    [
        ("Create a triage agent in marketing", "“marketing” names no single OU."),
        ("Create a triage agent in sales owned by Zoe", "“Zoe” is nobody I can see."),
        ("Create a triage agent in sales with slack-mcp", "No MCP server or skill named “slack-mcp”"),
        ("Attach web-search to nobody", "No agent named nobody is there"),
        ("Attach web-search to it", "Which agent is it?"),
        ("Sing a song", "I did not understand this"),
        ("go on", "Nothing waits"),
    ],
)
def test_what_is_unclear_is_asked_and_nothing_is_changed(talk: Conversation, prompt: str, question: str) -> None:
    assert question in talk.say(prompt)
    assert not set(talk.called) & set(MADE)


def test_what_is_not_there_can_be_left_out(talk: Conversation) -> None:
    talk.say("Create a triage agent in sales with slack-mcp and Gmail")
    said = talk.say("go on")
    assert "- MCP servers: gmail-mcp" in said
    assert talk.called.count("create_agent") == 1


def test_a_refusal_is_told_as_it_came(talk: Conversation) -> None:
    talk.organization.failures["create_agent"] = REFUSAL
    said = talk.say(SALES)
    assert REFUSAL["said"] in said
    assert json.dumps(REFUSAL["error"]) in said
    assert talk.called[-1] == "create_agent"


def test_an_unknown_user_is_told_and_asked_for(talk: Conversation) -> None:
    talk.organization.failures["describe_user"] = {"status": 404, "said": "No user found with email jane@typo.com."}
    assert "No user found with email jane@typo.com." in talk.say("Create a triage agent in sales for jane@typo.com")
    talk.organization.failures.clear()
    assert "- Owner: emma@dev.local" in talk.say("emma@dev.local")


def test_a_held_agent_names_its_request_and_is_wired_once_it_is_there(talk: Conversation) -> None:
    talk.organization.held["create_agent"] = HELD
    said = talk.say(SALES)
    assert "Agent creation in /dev-org/sales requires approval. Request submitted (ID: 0192-req)." in said
    assert "I cannot approve it" in said
    assert talk.called[-1] == "create_agent"
    talk.organization.held.clear()
    talk.organization.call("create_agent", {"name": "sales-prospector", "ou_id": id_of("/dev-org/sales"), "model": "m"})
    assert "Done. Agent sales-prospector wired in /dev-org/sales" in talk.say("Approved, go on")
    assert talk.called[-6:] == MADE[1:]


def test_one_part_that_is_refused_or_held_leaves_the_others(talk: Conversation) -> None:
    talk.organization.failures["attach_skill_to_agent"] = REFUSAL | {"said": "API returned 403: no skill:use."}
    talk.organization.held["create_credential"] = HELD
    said = talk.say(SALES)
    assert "Partly done. Agent sales-prospector created" in said
    assert "Attaching web-search: API returned 403: no skill:use." in said
    assert "The credential for gmail-mcp requires approval. Request submitted (ID: 0192-req)." in said


def test_an_agent_that_is_there_is_not_made_twice(talk: Conversation) -> None:
    talk.say(SALES)
    assert "There is an agent sales-prospector in /dev-org/sales already" in talk.say(SALES)
    assert "created in /dev-org/sales" in talk.say("call it scout")
    assert [given["name"] for name, given in talk.organization.calls if name == "create_agent"] == [
        "sales-prospector",
        "scout",
    ]


def test_it_is_what_was_talked_of_last(talk: Conversation) -> None:
    talk.say("Create a triage agent in sales")
    assert "- Skills: web-search" in talk.say("Attach the web-search skill to it")
    assert "- Credentials: minted" in talk.say("Give triager apollo access")
    assert "Agent triager in /dev-org/sales:" in talk.say("Describe it")


def test_an_inventory_turns_all_pages(talk: Conversation) -> None:
    talk.organization.skills += [
        talk.organization.skills[0] | {"name": f"skill-{number}", "id": str(number)} for number in range(3)
    ]
    said = talk.say("What skills and users exist in /dev-org/sales?")
    assert "Skills (4)" in said
    assert "Users (1)" in said
    assert "python-lint" not in said


def test_a_turn_that_was_stopped_is_forgotten(talk: Conversation) -> None:
    talk.say("Create a triage agent")
    talk.events.append({"type": "user.message", "content": [{"type": "text", "text": SALES}]})  # and interrupted
    assert "triager created in /dev-org/sales" in talk.say("sales")


def test_the_tools_tell_the_meta_agent() -> None:
    tools = [McpTool("powerloom-meta", name, "always_allow") for name in META_TOOLS]
    assert is_meta(tools)
    assert not is_meta([*tools, McpTool("notes", "add", "always_allow")])
    agent = {"name": "powerloom-meta", "tools": [], "skills": []}
    steps = script(SALES, agent, turn=1, mcp=tools)
    assert [step["do"] for step in steps] == ["go_on", "stop"]
    assert "go_on" not in [step["do"] for step in script(f"[nomcp] {SALES}", agent, turn=1, mcp=tools)]
