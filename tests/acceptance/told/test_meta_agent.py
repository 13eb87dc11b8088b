"""The meta-agent in the whole product: what the guide tells, as it tells it, and what stands in its way."""

import json
import time
from io import StringIO
from typing import Any

import httpx
import pytest
from django.core.management import call_command

from tests.product import Product, environment_for
from tests.programs import run
from tests.waiting import until

pytestmark = pytest.mark.sqlite_only

ADMIN, OMAR, ERIN = "admin@dev.local", "omar@dev.local", "erin@dev.local"
PROMPT = "Set up a scoped sales-prospecting agent for Emma on the sales team with Apollo and Gmail access."
HELPER = "Create an agent called helper in /dev-org/sales owned by emma@dev.local."
BOOTSTRAP_SECONDS = 30  # what is promised


class Talk:
    """One session with the meta-agent, ended."""

    def __init__(self, api: httpx.Client, prompt: str) -> None:
        agent = api.get("/agents", params={"name": "powerloom-meta"}).json()[0]
        invoked = api.post(f"/agents/{agent['id']}/invoke", json={"prompt": prompt, "mode": "sync"}).json()
        self.session_id = invoked["session_id"]
        assert (invoked["status"], invoked["is_delegated"]) == ("idle_end_turn", True), invoked
        events = api.get(f"/sessions/{self.session_id}/events", params={"limit": 500}).json()
        self.calls = [event["payload"] for event in events if event["event_type"] == "agent.mcp_tool_use"]
        answers = [event["payload"] for event in events if event["event_type"] == "agent.mcp_tool_result"]
        self.answers = [json.loads(one["content"][0]["text"]) for one in answers]
        said = [event["payload"] for event in events if event["event_type"] == "agent.message"]
        self.words: str = said[-1]["content"][0]["text"]

    @property
    def tools(self) -> list[str]:
        return [call["name"] for call in self.calls]


def entries_of(api: httpx.Client, session_id: str) -> list[dict[str, Any]]:
    """What the trail says of the session's doings, in order."""
    lines = api.get("/audit/export").text.splitlines()
    bodies = [json.loads(json.loads(line)["body"]) for line in lines if '"body"' in line]
    return [body for body in bodies if body["delegated_from_session"] == session_id]


def prospect(admin: httpx.Client) -> None:
    """The guide's own example, to the letter."""
    talk = Talk(admin, PROMPT)
    for tool in ("list_ous", "describe_user", "list_mcp_servers", "list_skills"):
        assert talk.tools.index(tool) < talk.tools.index("create_agent"), "it looks before it acts"
    assert [tool for tool in talk.tools if not tool.startswith(("list_", "describe_"))] == [
        "create_agent",
        *["attach_mcp_server_to_agent"] * 2,
        "attach_skill_to_agent",
        *["create_credential"] * 2,
    ]
    [made] = [answer["agent"] for answer in talk.answers if answer.get("agent") and answer["status"] == 201]
    assert {answer["status"] for answer in talk.answers} == {200, 201}
    for words in (
        f"Agent sales-prospector created in /dev-org/sales:\n- ID: {made['id']}",
        "- Model: claude-sonnet-4-6",
        "- Owner: emma@dev.local",
        "- MCP servers: apollo-mcp, gmail-mcp",
        "- Skills: web-search",
        "- Credentials: minted",
        f"POST /agents/{made['id']}/invoke",
    ):
        assert words in talk.words

    def shown() -> dict[str, Any]:
        row: dict[str, Any] = admin.get(f"/agents/{made['id']}").json()
        return row

    until(lambda: shown()["sync"]["live"], within=30, what="the agent on the runtime")
    agent = shown()
    assert (agent["ou_path"], agent["owner_ref"]) == ("/dev-org/sales", "user:emma@dev.local")
    assert [server["name"] for server in agent["mcp_servers"]] == ["apollo-mcp", "gmail-mcp"]
    assert len(agent["skills"]) == 1
    credentials = admin.get("/credentials", params={"agent_id": made["id"]}).json()
    assert [row["source"] for row in credentials] == ["minted", "minted"]

    listed = admin.get("/audit", params={"delegated_from_session": talk.session_id}).json()
    entries = entries_of(admin, talk.session_id)
    assert [row["seq"] for row in reversed(listed)] == [entry["seq"] for entry in entries]
    assert [entry["action"] for entry in entries] == [
        "agent:create",
        *("agent:attach_mcp_server", "credential:create") * 2,
        "agent:attach_skill",
        *["credential:create"] * 2,
    ]
    assert {entry["actor"]["ref"] for entry in entries} == {f"user:{ADMIN}"}, "the trail reads them as the user's acts"
    assert {entry["decision"]["outcome"] for entry in entries} == {"allowed"}
    assert {entry["request_id"] for entry in entries} <= {answer["request_id"] for answer in talk.answers}


def deny(admin: httpx.Client, omar: httpx.Client) -> None:
    """Omar may invoke it, and has no rights in sales; so it has none there."""
    talk = Talk(omar, HELPER)
    refused = talk.answers[-1]
    assert (talk.tools[-1], refused["status"]) == ("create_agent", 403)
    assert refused["said"] in talk.words
    assert "insufficient permissions. You need agent:create on /dev-org/sales" in talk.words
    [entry] = entries_of(admin, talk.session_id)
    assert (entry["action"], entry["decision"]["outcome"]) == ("agent:create", "denied")
    assert entry["actor"]["ref"] == f"user:{OMAR}"
    assert admin.get(f"/sessions/{talk.session_id}").status_code == 404, "it is Omar's alone"
    assert admin.post(f"/sessions/{talk.session_id}/messages", json={"text": "go on"}).status_code == 404


def hold(up: Product, admin: httpx.Client, erin: httpx.Client) -> None:
    """With a policy nothing is made before somebody else has said yes."""
    platform = next(ou["id"] for ou in admin.get("/ous").json() if ou["path"] == "/dev-org/engineering/platform")
    approver = next(role["id"] for role in admin.get("/roles").json() if role["name"] == "Approver")
    gate = {"name": "gate", "scope_ou_id": platform, "action_pattern": "agent:create", "approver_role_id": approver}
    assert admin.post("/approval-policies", json=gate).status_code == 201
    talk = Talk(erin, "Create an agent called helper in /dev-org/engineering/platform owned by erin@dev.local.")
    held = talk.answers[-1]
    assert (talk.tools[-1], held["status"]) == ("create_agent", 202)
    request_id = held["held"]["approval_request_id"]
    assert request_id in talk.words
    assert "/approvals" in talk.words
    assert not admin.get("/agents", params={"name": "helper"}).json()
    assert erin.post(f"/approvals/{request_id}/approve", json={}).status_code == 403, "who asked does not decide"
    with up.client("vera@dev.local") as vera:
        assert vera.get(f"/approvals/{request_id}").json()["delegated_from_session"] == talk.session_id
        assert vera.post(f"/approvals/{request_id}/approve", json={}).status_code == 200
        told = vera.get(f"/approvals/{request_id}").json()["failure"]
    until(lambda: admin.get("/agents", params={"name": "helper"}).json(), within=30, what=f"the replay: {told}")
    [created] = admin.get("/audit", params={"delegated_from_session": talk.session_id, "action": "agent:create"}).json()
    assert (created["decision"], created["approval_request_id"]) == ("allowed", request_id)
    assert created["actor_principal_ref"] == "user:erin@dev.local"


def bootstrap(up: Product, *arguments: str) -> str:
    environment = environment_for(up.home, POWERLOOM_DEV="1", POWERLOOM_API_URL=f"{up.url}/api")
    done = run("manage.py", *arguments, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def set_up_twice(up: Product, admin: httpx.Client) -> None:
    """By the two command lines of the guide, the one after the other."""
    named = ("--ou-path", "/dev-org/sales", "--name", "sales-meta", "--display-name", "Sales Meta")
    command = ("bootstrap_meta_agent", "--admin-email", ADMIN, *named)
    began = time.monotonic()
    first = bootstrap(up, *command)
    assert time.monotonic() - began < BOOTSTRAP_SECONDS
    assert "created agent sales-meta" in first
    token = str(admin.headers["Authorization"]).removeprefix("Bearer ")
    second = StringIO()
    call_command(*command, "--api", f"{up.url}/api", "--admin-token", token, stdout=second)  # from anywhere
    assert "sales-meta is ready" in second.getvalue()
    assert "created" not in second.getvalue()
    [agent] = admin.get("/agents", params={"name": "sales-meta"}).json()
    assert (agent["display_name"], agent["model"]) == ("Sales Meta", "claude-opus-4-6")
    assert not any(tool["enabled"] for tool in agent["tools"].values()), "it works through Powerloom alone"
    assert len(admin.get("/mcp-deployments", params={"name": "sales-meta"}).json()) == 1
    assert len(admin.get("/credentials", params={"agent_id": agent["id"]}).json()) == 1


def test_the_guides_story_its_refusals_and_its_setup(up: Product) -> None:
    with up.client(ADMIN) as admin, up.client(OMAR) as omar, up.client(ERIN) as erin:
        prospect(admin)
        deny(admin, omar)
        set_up_twice(up, admin)
        hold(up, admin, erin)
        assert admin.get("/audit/verify").json()["intact"]
